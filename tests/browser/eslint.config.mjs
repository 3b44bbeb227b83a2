// What the linter holds the page and the client to: ESLint's recommended rules. Run from the root:
// tests/run browser does.

import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/node_modules/", "web/types/"] },
  js.configs.recommended,
  {
    files: ["web/**/*.js", "web/**/*.mjs"],
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: { ...globals.browser } },
    rules: {
      // Control characters are what a terminal is about.
      "no-control-regex": "off",
      // `const { type, ...rest }` takes a member away.
      "no-unused-vars": ["error", { ignoreRestSiblings: true }],
      // More is two things. What draws is longer than what thinks.
      "max-lines-per-function": ["error", { max: 90, skipBlankLines: true, skipComments: true }],
    },
  },
  { files: ["web/build.mjs"], languageOptions: { globals: { ...globals.node } } },
];
