// The oracle of the alert state machine: Prometheus's alerting rule (rules/alerting.go, AlertingRule.Eval, version 3) written again
// from its semantics, with nothing in common with the SQL. Times are milliseconds.

type Alert = {
  state: "pending" | "firing" | "inactive";
  activeAt: number;
  keepFiringSince: number;
  resolvedAt: number;
};

export type Transition = {
  at: number;
  labels: string;
  from: "none" | "pending" | "firing";
  to: "pending" | "firing" | "none";
};

const RESOLVED_RETENTION = 15 * 60_000;

/** One alerting rule: `for`, `keep_firing_for`, and its alerts by label set. */
export function prometheusRule(holdDuration: number, keepFiringFor: number) {
  const active = new Map<string, Alert>();

  /** Evaluates at `ts`, with the label sets that the expression returns; answers what changed, as one sees it from outside. */
  return function evaluate(ts: number, result: Set<string>): Transition[] {
    const before = new Map([...active].map(([labels, { state }]) => [labels, state]));
    const seenBefore = (labels: string): Transition["from"] => {
      const state = before.get(labels);
      return state === undefined || state === "inactive" ? "none" : state;
    };

    for (const labels of result) {
      const known = active.get(labels);
      if (known && known.state !== "inactive") continue;
      active.set(labels, { state: "pending", activeAt: ts, keepFiringSince: 0, resolvedAt: 0 });
    }

    for (const [labels, alert] of active) {
      if (!result.has(labels)) {
        let keepFiring = false;
        if (alert.state === "firing" && keepFiringFor > 0) {
          if (alert.keepFiringSince === 0) alert.keepFiringSince = ts;
          if (ts - alert.keepFiringSince < keepFiringFor) keepFiring = true;
        }
        if (alert.state === "pending" || (alert.resolvedAt !== 0 && ts - alert.resolvedAt > RESOLVED_RETENTION))
          active.delete(labels);
        if (alert.state !== "inactive" && !keepFiring) {
          alert.state = "inactive";
          alert.resolvedAt = ts;
        }
        if (!keepFiring) continue;
      } else {
        alert.keepFiringSince = 0;
      }
      if (alert.state === "pending" && ts - alert.activeAt >= holdDuration) alert.state = "firing";
    }

    const after = (labels: string): Transition["to"] => {
      const state = active.get(labels)?.state;
      return state === undefined || state === "inactive" ? "none" : state;
    };
    return [...new Set([...before.keys(), ...active.keys()])]
      .map((labels) => ({ at: ts, labels, from: seenBefore(labels), to: after(labels) }))
      .filter(({ from, to }) => from !== to);
  };
}
