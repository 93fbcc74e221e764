// What can be subscribed to. The streams come from src/live, by the context's pgSubscriber.

import "postgraphile";
import { access, constant, context, each, lambda, listen } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import type { HealthRows } from "../live/health.ts";
import type { Topic } from "../live/topics.ts";

export const SubscriptionsPlugin = extendSchema((build) => {
  const { alert_history, alerts } = build.input.pgRegistry.pgResources;
  const topic = (of: unknown) => of as never; // typed as a name; ours says what it is about
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
          alertChanged: {
            subscribePlan(_$root, args) {
              const $topic = lambda(
                ["service", "severity", "ruleId"].map((name) => args.getRaw(name)),
                ([service, severity, ruleId]): Topic => ({
                  of: "changes",
                  filter: { service: service ?? null, severity: severity ?? null, ruleId: ruleId ?? null },
                }),
              );
              return listen(context().get("pgSubscriber") as never, topic($topic), ($id) => $id);
            },
            plan: ($id) => $id,
          },
          serviceHealth: {
            subscribePlan: () =>
              listen(
                context().get("pgSubscriber") as never,
                topic(constant({ of: "health" } satisfies Topic)),
                ($rows) => $rows,
              ),
            plan($rows, args) {
              const $wanted = lambda([$rows, args.getRaw("service")], ([rows, service]) =>
                service == null ? rows : (rows as HealthRows).filter((row) => row.service === service),
              );
              return each($wanted as never, ($row) => access($row, []));
            },
          },
        },
      },
      AlertChange: {
        plans: {
          history: ($id) => alert_history!.get({ id: $id }),
          alert: ($id) => alerts!.get({ id: alert_history!.get({ id: $id }).get("alert_id") }),
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
