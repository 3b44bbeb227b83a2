// Sends AT to the demo's modem, then reads registers of its PLC. Runs in a browser's console on a page of the
// gateway, and in Node.js 22 or newer.
(async () => {
  const gateway = "ws://127.0.0.1:8080";
  const ask = (name, request, complete) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`${gateway}/ws/${name}`);
      const answer = [];
      socket.binaryType = "arraybuffer";
      socket.onopen = () => socket.send(request);
      socket.onclose = (event) => reject(new Error(`${name}: closed with ${event.code} ${event.reason}`));
      socket.onmessage = (event) => {
        answer.push(...new Uint8Array(event.data)); // what a device sends has no message borders
        if (!complete(answer)) return;
        resolve(answer);
        socket.close();
      };
    });
  const text = (bytes) => String.fromCharCode(...bytes);
  const modem = await ask("modem", "AT\r", (bytes) => text(bytes).endsWith("OK\r\n"));
  console.log("modem:", text(modem).trim().split(/\s+/));
  const request = new Uint8Array([0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 3]); // Modbus TCP: read three registers from 0
  const plc = await ask("plc", request, (bytes) => bytes.length >= 15);
  const [seconds, tenths, setpoint] = [9, 11, 13].map((at) => plc[at] * 256 + plc[at + 1]);
  console.log(`plc: up ${seconds} s, ${tenths / 10} degrees, setpoint ${setpoint}`);
})();
