// Dark, light, or as the system says.

import { page } from "./prefs.js";
import { store } from "./store.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** What the user chose: "system", "light" or "dark". */
export const choice = store(page.get("theme", "system"));

/** What that means now: "light" or "dark". */
export const theme = store(resolve());

function resolve() {
  return choice.value === "system" ? (dark.matches ? "dark" : "light") : choice.value;
}

function apply() {
  theme.set(resolve());
  document.documentElement.dataset.theme = theme.value;
  document
    .querySelector('meta[name="theme-color"]')
    ?.setAttribute("content", theme.value === "dark" ? "#10151b" : "#f4f6f8");
}

/** Follows the choice and the system from now on. */
export function installTheme() {
  dark.addEventListener("change", apply);
  choice.on((value) => {
    if (value !== page.get("theme", "system")) page.set("theme", value);
    apply();
  });
  page.on("theme", (value) => choice.set(value ?? "system"));
}

/** Switches to the next of system, light, dark; returns its name. */
export function nextTheme() {
  const order = ["system", "light", "dark"];
  choice.set(order[(order.indexOf(choice.value) + 1) % order.length]);
  return choice.value;
}
