// Node's http client: the same as client_fetch.py.
const http = require("node:http");

function ask(agent, job, method, path) {
  return new Promise((resolve) => {
    let late = false;
    const request = http.request(
      { host: "127.0.0.1", port: job.port, agent, method, path },
      (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", (error) => fail(error));
        response.on("aborted", () => fail(new Error("aborted")));
        response.on("end", () => {
          clearTimeout(timer);
          const raw = response.rawHeaders;
          const fields = [];
          for (let i = 0; i < raw.length; i += 2)
            fields.push([raw[i].toLowerCase(), raw[i + 1]]);
          const body = Buffer.concat(parts).toString("hex");
          // The socket is free, or closed, only when this turn is over.
          setImmediate(() =>
            resolve({ end: "done", status: response.statusCode, body, fields }));
        });
      });
    const fail = (error) => {
      clearTimeout(timer);
      const text = `${error.code || ""} ${error.message}`.trim();
      setImmediate(() => resolve(late ? { end: "waits" } : { end: "failed", error: text }));
    };
    const timer = setTimeout(() => {
      late = true;
      request.destroy(new Error("late"));
    }, job.patience * 1000);
    request.on("error", fail);
    // Without this nothing is told of a 101 that names a protocol.
    request.on("upgrade", (response, socket) => {
      socket.destroy();
      fail(new Error("upgrade"));
    });
    request.end();
  });
}

function then(result) {
  if (result.end !== "done") return "error";
  const body = Buffer.from(result.body, "hex").toString("latin1");
  return result.status === 200 && ["again", "fresh"].includes(body) ? body : "wrong";
}

async function one(job, [n, method, again]) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const result = { n, status: 0, body: "", fields: [], error: "", then: "" };
  Object.assign(result, await ask(agent, job, method, `/${n}`));
  if (again) result.then = then(await ask(agent, job, "GET", `/next/${n}`));
  agent.destroy();
  console.log(JSON.stringify(result));
}

const input = [];
process.stdin.on("data", (part) => input.push(part));
process.stdin.on("end", () => {
  const job = JSON.parse(Buffer.concat(input).toString());
  const worker = async () => {
    while (job.asks.length) await one(job, job.asks.shift());
  };
  for (let i = 0; i < job.width; i++) worker();
});
