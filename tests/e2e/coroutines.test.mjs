// Coroutines of the script in calls that come through sockets.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { open, postText } from './lib/raw.mjs';
import { call, request } from './lib/rpc.mjs';

describe('coroutines', async () => {
  const gateway = await start('coroutines.lua');
  after(() => gateway.stop());

  const never = () => gateway.lines.filter((line) => line.includes('was never closed'));

  test('an await in a nested one answers', async () => {
    const { result } = await call(gateway, 'nested', { label: 'slept', seconds: 0.01 });
    assert.equal(result, 'slept');
  });

  test('a lost connection unwinds them, innermost first', async (t) => {
    const raw = await open(t, gateway);
    raw.send(postText(gateway, request('nested', { label: 'lost', seconds: 60 })));
    await gateway.log(/started lost$/);
    raw.reset();
    await gateway.log(/closed lost inner$/);
    await gateway.log(/closed lost outer$/);
    const order = gateway.lines.filter((line) => line.includes('closed lost')).map((line) => line.split(' ').at(-1));
    assert.deepEqual(order, ['inner', 'outer']);
  });

  test('one that was abandoned and collected runs its defer, which is not called forgotten', async () => {
    const { result } = await call(gateway, 'abandon', { label: 'abandoned' });
    assert.equal(result, 'answer');
    await gateway.log(/closed abandoned$/);
    await call(gateway, 'collect');
    assert.deepEqual(never(), []);
  });

  test('a defer without a variable inside one is called forgotten when that is over', async () => {
    await call(gateway, 'bare_defer');
    for (let i = 0; i < 3; i++) await call(gateway, 'collect');
    await gateway.log(/coroutines\.lua:\d+: cancela\.defer\(fn\) was never closed/);
  });
});
