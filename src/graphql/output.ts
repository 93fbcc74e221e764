// The data of an answer is written as JSON text at once, not as objects that are then made into text.

import "postgraphile/grafserv";

export const OutputPlugin: GraphileConfig.Plugin = {
  name: "OutputPlugin",
  version: "1.0.0",
  grafast: {
    middleware: {
      execute(next, { args }) {
        // grafserv reads `grafserv.outputDataAsString` where it sends the answer, and does not tell the execution.
        const { requestContext } = args as { requestContext?: Partial<Grafast.RequestContext> };
        if (requestContext?.http) args.outputDataAsString = true;
        return next();
      },
    },
  },
};
