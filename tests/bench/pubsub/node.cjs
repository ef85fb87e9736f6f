// The same on npm ws: node node.cjs PORT, with NODE_PATH.
const { createServer } = require('node:http');
const { WebSocketServer } = require('ws');

const clients = new Set();

// Resolves when all are published; as many a tick as are due.
function run({ messages, rate, bytes }) {
  const text = 'x'.repeat(bytes), began = performance.now();
  let count = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(messages, Math.floor((performance.now() - began) / 1000 * rate));
      for (; count < due; count++) {
        const data = JSON.stringify({ jsonrpc: '2.0', method: 'tick', params: [1000000001 + count, text] });
        for (const ws of clients) ws.send(data);
      }
      if (count < messages) return;
      clearInterval(timer);
      resolve(0);
    }, 1);
  });
}

const server = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  const { id, params } = JSON.parse(body);
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result: await run(params) }));
});
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (ws) => {
  ws.once('message', () => {
    clients.add(ws);
    ws.send('true');
  });
  ws.on('close', () => clients.delete(ws));
  ws.on('error', () => {});
});
server.listen(Number(process.argv[2]), '127.0.0.1');
