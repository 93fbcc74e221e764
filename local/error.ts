// What can go wrong on a user's machine, said in one line: what is wrong and what to do.

/** Its message is all that the user needs to read; a stack would not help. */
export class LocalError extends Error {}
