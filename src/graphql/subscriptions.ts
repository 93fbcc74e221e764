// What can be subscribed to. The streams come from src/live, which plans a field with each of its events: see batches.ts.

import "postgraphile";
import { access, each, type FieldArgs, get, lambda, type Step } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import type { Change } from "../live/changes.ts";
import type { HealthRows } from "../live/health.ts";

export const SubscriptionsPlugin = extendSchema((build) => {
  const { alert_history, alerts } = build.input.pgRegistry.pgResources;
  const entry = ($change: Step<Change>) => alert_history!.get({ id: get($change, "id") });
  return {
    typeDefs: gql`
      extend type Subscription {
        """
        Each change of an alert, at once when it is committed: it began to be pending, fires, was acknowledged, is resolved, or the reason
        for its state is another one. Changes during a loss of the database come when it is back.
        """
        alertChanged(
          """Only alerts of this service."""
          service: String
          """Only alerts of this severity."""
          severity: AlertSeverity
          """Only alerts of this rule."""
          ruleId: String
        ): AlertChange!

        """Health of every service seen in the last day, over the last minute: at once, then each second."""
        serviceHealth(
          """Only this service."""
          service: String
        ): [ServiceHealth!]!
      }

      """What happened to an alert."""
      type AlertChange {
        """The change: states before and after, reason, value."""
        history: AlertHistory!
        """The alert as it is by now; null for a pending one that is over without having fired."""
        alert: Alert
      }
    `,
    objects: {
      Subscription: {
        plans: {
          alertChanged: { plan: ($change: Step) => $change },
          serviceHealth: {
            plan($event: Step<{ rows: HealthRows }>, args: FieldArgs) {
              const $wanted = lambda([get($event, "rows"), args.getRaw("service")], ([rows, service]) =>
                service == null ? rows : rows.filter((row) => row.service === service),
              );
              return each($wanted as never, ($row) => access($row, []));
            },
          },
        },
      },
      AlertChange: {
        plans: {
          history: ($change: Step<Change>) => entry($change),
          alert: ($change: Step<Change>) => alerts!.get({ id: entry($change).get("alert_id") }),
        },
      },
    },
  };
}, "SubscriptionsPlugin");

/** The rows of this type come from the database in a query or from src/live, once for all subscribers. */
export const SharedRowsPlugin: GraphileConfig.Plugin = {
  name: "SharedRowsPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      GraphQLObjectType(type, _build, { scope: { isPgClassType, pgCodec } }) {
        if (!isPgClassType || pgCodec?.extensions?.pg?.name !== "service_health") return type;
        const { assertStep: _, ...rest } = type;
        return rest;
      },
    },
  },
};
