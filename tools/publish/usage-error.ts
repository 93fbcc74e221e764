// A wrong command line; its message is the one line that the user reads. Exit status 2.
export class UsageError extends Error {}
