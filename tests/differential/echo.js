// Node's http server: each answer says in a field what was understood.
const http = require("node:http");
http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const seen = [request.method, request.url, Buffer.concat(parts).toString("latin1"),
                  request.headers["x-meant"] || ""];
    response.setHeader("X-Echo", Buffer.from(JSON.stringify(seen)).toString("hex"));
    response.end("ok");
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
