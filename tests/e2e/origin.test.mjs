// Pages of other sites: refused, unless listed.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { post, request } from './lib/rpc.mjs';

const PAGE = 'https://page.example';
const gateway = await start('app.lua', ['--origins', PAGE]);
after(() => gateway.stop());

const from = (origin) => post(gateway, JSON.stringify(request('note', { label: origin })), { headers: { origin } });

test('a page of another site is refused with 403, and its call never runs', async () => {
  const { status, headers } = await from('https://elsewhere.example');
  assert.equal(status, 403);
  assert.equal(headers.get('access-control-allow-origin'), null);
  assert.ok(!gateway.lines.some((line) => line.includes('noted https://elsewhere.example')));
});

test('a page of a listed site may ask, and read the answer', async () => {
  const { status, headers } = await from(PAGE);
  assert.equal(status, 200);
  assert.equal(headers.get('access-control-allow-origin'), PAGE);
  assert.match(headers.get('vary'), /\borigin\b/i);
});

test("the gateway's own pages may ask", async () => {
  assert.equal((await from(gateway.url)).status, 200);
});

test('a preflight request is answered for listed sites only', async () => {
  const preflight = (origin) => fetch(gateway.rpcUrl, {
    method: 'OPTIONS', headers: {
      origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type',
    },
  });
  const { status, headers } = await preflight(PAGE);
  assert.equal(status, 204);
  assert.equal(headers.get('access-control-allow-origin'), PAGE);
  assert.match(headers.get('access-control-allow-methods'), /\bPOST\b/);
  assert.match(headers.get('access-control-allow-headers'), /\bcontent-type\b/i);
  assert.equal((await preflight('https://elsewhere.example')).headers.get('access-control-allow-origin'), null);
});
