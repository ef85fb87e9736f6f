// authorize admits or refuses, and what fails refuses.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { start } from './lib/gateway.mjs';
import { call, post } from './lib/rpc.mjs';

const gateway = await start('guarded.lua');
after(() => gateway.stop());

const as = (user) => call(gateway, 'whoami', {}, { headers: user === undefined ? {} : { 'x-user': user } });

for (const [user, name] of [['ana', 'Ana'], ['slow', 'Slow'], ['root', 'nobody']]) {
  test(`${user} is admitted, and the call's identity is ${name}`, async () => {
    assert.equal((await as(user)).result, name);
  });
}

const REFUSED = [
  ['nobody', undefined, -32016, 'unauthenticated'],
  ['false', 'false', -32016, 'unauthenticated'],
  ['mallory, with a typed error', 'mallory', -32007, 'permission_denied'],
  ['broken, with a script error', 'broken', -32603, 'internal'],
];
for (const [who, user, code, name] of REFUSED) {
  test(`${who}: refused as ${name}, and the body never runs`, async () => {
    const ran = gateway.lines.filter((line) => line.includes('the body ran')).length;
    const { error } = await as(user);
    assert.deepEqual([error.code, error.data.code], [code, name]);
    assert.doesNotMatch(JSON.stringify(error), /secret/);
    await gateway.log(new RegExp(` call .*procedure=whoami outcome=${name} `));
    assert.equal(gateway.lines.filter((line) => line.includes('the body ran')).length, ran);
  });
}

test('a refused unary call has the status of its error', async () => {
  const answer = await post(gateway, '{}', { path: '/rpc/whoami' });
  assert.equal(answer.status, 401);
  assert.equal(JSON.parse(answer.text).code, 'unauthenticated');
});
