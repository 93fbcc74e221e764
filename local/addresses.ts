// Where npm start has its services when the environment names no others.

export const DATABASE_PORT = 15432;
export const KAFKA_PORT = 19092;

/** The server of the local databases, without the name of one. */
export const DATABASE_SERVER = `postgres://postgres@127.0.0.1:${DATABASE_PORT}`;
export const DATABASE_URL = `${DATABASE_SERVER}/stacklens`;
export const KAFKA_BROKERS = `127.0.0.1:${KAFKA_PORT}`;
