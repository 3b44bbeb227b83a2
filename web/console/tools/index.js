// The tools beside the terminal, in the order they are shown; ../panels.js says what one is.
export const tools = [];
