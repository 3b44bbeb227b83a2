// The terminal's colours, by day and by night. xterm itself ensures the contrast to the background
// (minimumContrastRatio).

const DARK = {
  background: "#0d1217",
  foreground: "#d9e1e8",
  cursor: "#7cc0ff",
  cursorAccent: "#0d1217",
  selectionBackground: "#2f557a",
  selectionInactiveBackground: "#2a3b4c",
  black: "#1c252e",
  red: "#ff8b80",
  green: "#66d394",
  yellow: "#f0c05f",
  blue: "#74b4ff",
  magenta: "#d79bf2",
  cyan: "#5fd3d8",
  white: "#c6d0d9",
  brightBlack: "#7b8997",
  brightRed: "#ffb0a8",
  brightGreen: "#93e6b5",
  brightYellow: "#ffd98a",
  brightBlue: "#a3ceff",
  brightMagenta: "#e8c1fa",
  brightCyan: "#97e8ec",
  brightWhite: "#ffffff",
};

const LIGHT = {
  background: "#ffffff",
  foreground: "#1c2530",
  cursor: "#0a5bb5",
  cursorAccent: "#ffffff",
  selectionBackground: "#bcd9f7",
  selectionInactiveBackground: "#dde5ed",
  black: "#1c2530",
  red: "#b3261e",
  green: "#17703b",
  yellow: "#7d5400",
  blue: "#0a5bb5",
  magenta: "#8a2da8",
  cyan: "#0b6b73",
  white: "#5c6875",
  brightBlack: "#5c6875",
  brightRed: "#c2362d",
  brightGreen: "#1b7a42",
  brightYellow: "#8a5d00",
  brightBlue: "#1366c4",
  brightMagenta: "#983bb5",
  brightCyan: "#0e7680",
  brightWhite: "#3a4653",
};

export const colours = (theme) => (theme === "dark" ? DARK : LIGHT);

/** Marks of the search: everything that was found, and the current match. */
export const findMarks = (theme) => ({
  matchBackground: theme === "dark" ? "#5c4a12" : "#fbe7a6",
  matchOverviewRuler: theme === "dark" ? "#f0c05f" : "#8a5d00",
  activeMatchBackground: theme === "dark" ? "#a8620f" : "#f5b84b",
  activeMatchColorOverviewRuler: theme === "dark" ? "#ffffff" : "#1c2530",
});

export const FONT =
  'ui-monospace, "Cascadia Mono", "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';
