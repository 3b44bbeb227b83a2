// The credential of a line's socket where there is no cookie: in a frame on another site.

/** @type {{ bearer: (() => string) | undefined }} */
export const access = { bearer: undefined };
