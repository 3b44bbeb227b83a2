// What the bundler takes that is no script.

declare module "*.css";
