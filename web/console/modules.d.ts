// What the bundler accepts that is not a script.

declare module "*.css";
