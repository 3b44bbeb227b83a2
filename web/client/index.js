// The client library: lines of a gateway, and Web Serial over them.
export {};
