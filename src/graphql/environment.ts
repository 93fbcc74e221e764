// Before anything of Graphile is loaded: it asks for this variable on standard error when it is not set.

process.env.GRAPHILE_ENV ??= "production";
