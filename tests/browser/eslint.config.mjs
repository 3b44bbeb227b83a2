// What the linter checks in the page and the client: ESLint's recommended rules. Run it from the
// root: tests/run browser does.

import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/node_modules/", "web/types/"] },
  js.configs.recommended,
  {
    files: ["web/**/*.js", "web/**/*.mjs"],
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: { ...globals.browser } },
    rules: {
      // A terminal is all about control characters.
      "no-control-regex": "off",
      // `const { type, ...rest }` removes a member.
      "no-unused-vars": ["error", { ignoreRestSiblings: true }],
      // A longer function does two things. Code that draws is longer than code that thinks.
      "max-lines-per-function": ["error", { max: 90, skipBlankLines: true, skipComments: true }],
    },
  },
  { files: ["web/build.mjs"], languageOptions: { globals: { ...globals.node } } },
];
