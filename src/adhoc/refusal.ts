/** Why an ad-hoc query gets no answer; its message is for the one who asked. */
export class Refusal extends Error {
  readonly code: string;
  constructor(message: string, code = "BAD_REQUEST") {
    super(message);
    this.code = code;
  }
}
