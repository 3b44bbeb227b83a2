// A reporter of Node's test runner: the file of each test that failed, a line each.

export default async function* failedFiles(source) {
  for await (const { type, data } of source) {
    if (type === "test:fail" && data.file && data.todo === undefined) yield `${data.file}\n`;
  }
}
