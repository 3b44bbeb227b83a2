// What a line's socket shows of itself where there is no cookie: in a frame of another site.

/** @type {{ bearer: (() => string) | undefined }} */
export const access = { bearer: undefined };
