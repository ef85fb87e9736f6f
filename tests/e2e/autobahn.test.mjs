// RFC 6455 and 7692 case by case, grouped and numbered as in the Autobahn test suite, on an echo.
// A case sends 'frames' and expects 'echoes'; then the gateway must close with 'code', or, without
// one, be alive and close cleanly. A message is echoed even if what must fail, or a close frame, is
// right behind it (3.2, 4, 5.15, 7.1.1): the suite calls it non-strict where it is not.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { binary, start } from './lib/gateway.mjs';
import {
  BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, closing, deflating, dialWire, fragments, frame,
} from './lib/wire.mjs';

const gateway = await start('echo.lua');
after(() => gateway.stop());

// Half a minute under ThreadSanitizer, for what one thread does alone.
const skip = /\/build\/tsan\//.test(binary) && 'the cases are run on the other builds';
const group = (title, body) => describe(title, { skip }, body);

const HELLO = 'Hello, world!';
const TRICKY = Buffer.from([0, 255, 254, 253, 252, 251, 0, 255]);
const UTF8 = 'Hello-µ@ßöäüàá-UTF-8!!';
const KOSME = Buffer.from('κόσμε');
const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const NOT_UTF8 = Buffer.concat([KOSME, hex('eda080'), Buffer.from('edited')]);
const name = { [TEXT]: 'text', [BINARY]: 'binary', [PONG]: 'pong', [CLOSE]: 'close' };

async function expectFrame(wire, [opcode, payload], what) {
  const got = await wire.next();
  assert.ok(got, `${what}: the gateway ended instead of sending ${name[opcode]}`);
  assert.deepEqual([got.fin, got.rsv, got.opcode, got.payload.length],
    [true, 0, opcode, Buffer.from(payload).length], `${what}: ${got.payload.subarray(0, 80)}`);
  assert.ok(got.payload.equals(Buffer.from(payload)), what);
}

async function expectClose(wire, code, what) {
  const got = await wire.next();
  assert.equal(got?.opcode, CLOSE, `${what}: a close frame`);
  assert.equal(got.payload.length ? got.payload.readUInt16BE() : 1005, code, `${what}: ${got.payload.subarray(2)}`);
  assert.equal(await wire.next(), null, `${what}: nothing behind the close frame`);
}

// Runs a case: the frames one by one, all in one write, and byte by byte.
async function run(what, { frames, echoes = [], code, ways = ['at once', 'chopped'] }) {
  for (const way of ways) {
    const label = `${what}, ${way}`, wire = await dialWire(gateway);
    if (way === 'chopped') await wire.chopped(Buffer.concat(frames), 1);
    else wire.send(Buffer.concat(frames));
    for (const echo of echoes) await expectFrame(wire, echo, label);
    if (code === undefined) {
      wire.send(frame(PING, 'alive?'), frame(CLOSE, closing(1000)));
      await expectFrame(wire, [PONG, 'alive?'], label);
    }
    await expectClose(wire, code ?? 1000, label);
    wire.end();
  }
}

// Sends valid frames and, right behind them or when their echoes have come, what must fail.
async function runInTurn(what, steps, code) {
  const frames = steps.flatMap((step) => step.frames), echoes = steps.flatMap((step) => step.echoes ?? []);
  await run(`${what}, in one piece`, { frames, echoes, code, ways: ['at once'] });
  const wire = await dialWire(gateway);
  for (const step of steps) {
    wire.send(Buffer.concat(step.frames));
    for (const echo of step.echoes ?? []) await expectFrame(wire, echo, what);
  }
  await expectClose(wire, code, what);
  wire.end();
}

const cases = (title, table) => test(title, async () => {
  for (const [what, kase] of Object.entries(table)) await run(what, kase);
});

group('1 framing', () => {
  for (const [group, opcode, fill] of [['1.1 text', TEXT, '*'], ['1.2 binary', BINARY, 0xfe]]) {
    test(`${group} messages of 0, 125, 126, 127, 128, 65535 and 65536 bytes`, async () => {
      for (const size of [0, 125, 126, 127, 128, 65535, 65536]) {
        const payload = Buffer.alloc(size, fill);
        await run(`${size} bytes`, { frames: [frame(opcode, payload)], echoes: [[opcode, payload]], ways: ['at once'] });
      }
      const wire = await dialWire(gateway), payload = Buffer.alloc(65536, fill);
      await wire.chopped(frame(opcode, payload), 997);
      await expectFrame(wire, [opcode, payload], 'in pieces of 997 bytes');
      wire.end();
    });
  }
});

group('2 pings and pongs', () => {
  const pings = Array.from({ length: 10 }, (_, i) => `payload-${i}`);

  cases('2.1 to 2.4, 2.6 a ping is answered with its payload, of up to 125 bytes', {
    '2.1 empty': { frames: [frame(PING)], echoes: [[PONG, '']] },
    '2.2 text': { frames: [frame(PING, HELLO)], echoes: [[PONG, HELLO]] },
    '2.3 binary': { frames: [frame(PING, TRICKY)], echoes: [[PONG, TRICKY]] },
    '2.4, 2.6 125 bytes': { frames: [frame(PING, Buffer.alloc(125, 0xfe))], echoes: [[PONG, Buffer.alloc(125, 0xfe)]] },
  });
  cases('2.5 a ping of 126 bytes fails', {
    '2.5': { frames: [frame(PING, Buffer.alloc(126, 0xfe))], code: 1002, ways: ['at once'] },
  });
  cases('2.7 to 2.9 pongs nobody asked for are ignored', {
    '2.7 empty': { frames: [frame(PONG)] },
    '2.8 with a payload': { frames: [frame(PONG, 'unsolicited')] },
    '2.9 and a ping': { frames: [frame(PONG, 'unsolicited'), frame(PING, 'ping')], echoes: [[PONG, 'ping']] },
  });
  cases('2.10, 2.11 ten pings get ten pongs, in order', {
    '2.10': { frames: pings.map((text) => frame(PING, text)), echoes: pings.map((text) => [PONG, text]) },
  });
});

group('3 reserved bits', () => {
  test('3.1 to 3.7 fail wherever they are set', async () => {
    for (let rsv = 1; rsv < 8; rsv++) {
      for (const opcode of [TEXT, BINARY, PING, PONG, CLOSE]) {
        const bad = frame(opcode, opcode === CLOSE ? closing(1000) : HELLO, { rsv });
        await run(`bits ${rsv} on opcode ${opcode}`, { frames: [bad], code: 1002, ways: ['at once'] });
      }
    }
  });
  test('3.2 to 3.4 what was sent before is echoed, what comes behind is not', async () => {
    const bad = [frame(TEXT, HELLO, { rsv: 2 }), frame(PING)];
    await runInTurn('behind a text', [{ frames: [frame(TEXT, HELLO)], echoes: [[TEXT, HELLO]] }, { frames: bad }], 1002);
  });
  test('bit 1 fails on continuations and control frames where compression was agreed', async () => {
    for (const bad of [[frame(PING, '', { rsv: 4 })], [frame(TEXT, 'a', { fin: false }), frame(CONTINUATION, 'b', { rsv: 4 })]]) {
      const wire = await dialWire(gateway, { extensions: 'permessage-deflate' });
      wire.send(Buffer.concat(bad));
      await expectClose(wire, 1002, 'bit 1');
      wire.end();
    }
  });
});

group('4 reserved opcodes', () => {
  for (const [group, opcodes] of [['4.1 3 to 7', [3, 4, 5, 6, 7]], ['4.2 11 to 15', [11, 12, 13, 14, 15]]]) {
    test(`${group} fail`, async () => {
      for (const opcode of opcodes) {
        for (const payload of ['', HELLO]) {
          await run(`opcode ${opcode}`, { frames: [frame(opcode, payload)], code: 1002 });
          await runInTurn(`opcode ${opcode} behind a text`,
            [{ frames: [frame(TEXT, HELLO)], echoes: [[TEXT, HELLO]] }, { frames: [frame(opcode, payload), frame(PING)] }], 1002);
        }
      }
    });
  }
});

group('5 fragmentation', () => {
  const part = (opcode, payload, fin = false) => frame(opcode, payload, { fin });
  const two = (...between) => [part(TEXT, 'fragment1'), ...between, part(CONTINUATION, 'fragment2', true)];
  const echo = [TEXT, 'fragment1fragment2'];

  cases('5.1, 5.2 control frames in fragments fail', {
    '5.1 ping': { frames: [part(PING, 'fragment1'), part(CONTINUATION, 'fragment2', true)], code: 1002, ways: ['at once'] },
    '5.2 pong': { frames: [part(PONG, 'fragment1'), part(CONTINUATION, 'fragment2', true)], code: 1002, ways: ['at once'] },
    'close': { frames: [part(CLOSE, closing(1000))], code: 1002, ways: ['at once'] },
  });
  cases('5.3 to 5.8 two fragments are one message, a ping between them is answered first', {
    '5.3 to 5.5': { frames: two(), echoes: [echo] },
    '5.6 to 5.8': { frames: two(frame(PING, 'ping')), echoes: [[PONG, 'ping'], echo] },
  });
  cases('5.9 to 5.14 a continuation of nothing fails', {
    '5.9 to 5.11, the last': { frames: [part(CONTINUATION, 'x', true), frame(TEXT, HELLO)], code: 1002, ways: ['at once'] },
    '5.12 to 5.14, not the last': { frames: [part(CONTINUATION, 'x'), frame(TEXT, HELLO)], code: 1002, ways: ['at once'] },
  });
  test('5.15 to 5.17 a continuation behind a whole message fails', async () => {
    for (const fin of [false, true]) {
      await runInTurn(`last ${fin}`, [{ frames: two(), echoes: [echo] }, { frames: [part(CONTINUATION, 'x', fin), frame(TEXT, HELLO)] }], 1002);
    }
  });
  cases('5.18 a new message in the middle of one fails', {
    '5.18': { frames: [part(TEXT, 'fragment1'), part(TEXT, 'fragment2', true)], code: 1002, ways: ['at once'] },
    'and a binary one': { frames: [part(TEXT, 'fragment1'), frame(BINARY, 'x')], code: 1002, ways: ['at once'] },
  });
  cases('5.19, 5.20 five fragments with pings between them', {
    '5.19': {
      frames: [part(TEXT, '1'), part(CONTINUATION, '2'), frame(PING, 'first'), part(CONTINUATION, '3'),
        part(CONTINUATION, '4'), frame(PING, 'second'), part(CONTINUATION, '5', true)],
      echoes: [[PONG, 'first'], [PONG, 'second'], [TEXT, '12345']],
    },
  });
});

group('6 UTF-8', () => {
  const valid = (text) => ({ frames: [frame(TEXT, hex(text))], echoes: [[TEXT, hex(text)]] });
  const invalid = (text) => ({ frames: [frame(TEXT, hex(text))], code: 1007, ways: ['at once'] });
  const all = (judge, texts) => Object.fromEntries(texts.map((text) => [text, judge(text)]));
  const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => (first + i).toString(16).padStart(2, '0'));
  const lonely = (first, last) => range(first, last).map((byte) => `${byte}20`).join('');
  const LACKING = ['c0', 'e080', 'f08080', 'f8808080', 'fc80808080', 'df', 'efbf', 'f7bfbf', 'fbbfbfbf', 'fdbfbfbfbf'];

  cases('6.1 empty texts and fragments', {
    '6.1.1': { frames: [frame(TEXT)], echoes: [[TEXT, '']] },
    '6.1.2': { frames: [frame(TEXT, '', { fin: false }), frame(CONTINUATION, '', { fin: false }), frame(CONTINUATION)], echoes: [[TEXT, '']] },
    '6.1.3': { frames: [frame(TEXT, '', { fin: false }), frame(CONTINUATION, 'middle', { fin: false }), frame(CONTINUATION)], echoes: [[TEXT, 'middle']] },
  });
  cases('6.2 valid text, whole, cut at a code point and at every byte', {
    '6.2.1': { frames: [frame(TEXT, UTF8)], echoes: [[TEXT, UTF8]] },
    '6.2.2': { frames: [frame(TEXT, UTF8.slice(0, 9), { fin: false }), frame(CONTINUATION, UTF8.slice(9))], echoes: [[TEXT, UTF8]] },
    '6.2.3': { frames: fragments(TEXT, UTF8, 1), echoes: [[TEXT, UTF8]] },
    '6.2.4': { frames: fragments(TEXT, KOSME, 1), echoes: [[TEXT, KOSME]] },
  });
  cases('6.3 invalid text, whole and cut at every byte', {
    '6.3.1': { frames: [frame(TEXT, NOT_UTF8)], code: 1007, ways: ['at once'] },
    '6.3.2': { frames: fragments(TEXT, NOT_UTF8, 1), code: 1007, ways: ['at once'] },
  });
  test('6.4 invalid text fails at the first byte that cannot be right, before the message ends', async () => {
    const head = { fin: false };
    const whole = frame(TEXT, Buffer.concat([KOSME, hex('f4908080'), Buffer.from('edited')]));
    for (const [what, frames] of [
      ['6.4.1', [frame(TEXT, KOSME, head), frame(CONTINUATION, hex('f4908080'), head)]],
      ['6.4.2', [frame(TEXT, Buffer.concat([KOSME, hex('f4')]), head), frame(CONTINUATION, hex('90'), head)]],
      ['6.4.3', [whole.subarray(0, 6 + KOSME.length + 4)]],
      ['6.4.4', [whole.subarray(0, 6 + KOSME.length + 2)]],
    ]) await run(what, { frames, code: 1007 });
  });
  cases('6.5 valid text of several scripts', all(valid, ['cebae1bdb9cf83cebcceb5', 'e38182e38184', 'd0bfd180d0b8', '68656c6c6f']));
  test('6.6 every prefix of a text is valid only at a code point', async () => {
    for (let n = 1; n <= KOSME.length; n++) {
      const prefix = KOSME.subarray(0, n).toString('hex');
      const whole = !KOSME.subarray(0, n).toString().includes('\ufffd');
      await run(prefix, whole ? valid(prefix) : invalid(prefix));
    }
  });
  cases('6.7 the first code points of each length', all(valid, ['00', 'c280', 'e0a080', 'f0908080']));
  cases('6.8 the first sequences of five and six bytes', all(invalid, ['f888808080', 'fc8480808080']));
  cases('6.9 the last code points of each length', all(valid, ['7f', 'dfbf', 'efbfbf', 'f48fbfbf']));
  cases('6.10 the last sequences of four, five and six bytes', all(invalid, ['f7bfbfbf', 'fbbfbfbfbf', 'fdbfbfbfbfbf']));
  cases('6.11 other boundaries', { ...all(valid, ['ed9fbf', 'ee8080', 'efbfbd', 'f48fbfbf']), ...all(invalid, ['f4908080']) });
  cases('6.12 continuation bytes alone', all(invalid, ['80', 'bf', '80bf', '80bf80', '80bf80bf', '80bf80bf80', '80bf80bf80bf', range(0x80, 0xbf).join('')]));
  cases('6.13 start bytes alone', all(invalid, [lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb), lonely(0xfc, 0xfd)]));
  cases('6.14 sequences without their last byte', all(invalid, LACKING));
  cases('6.15 all of these in a row', all(invalid, [LACKING.join('')]));
  cases('6.16 impossible bytes', all(invalid, ['fe', 'ff', 'fefeffff']));
  cases('6.17 overlong slashes', all(invalid, ['c0af', 'e080af', 'f08080af', 'f8808080af', 'fc80808080af']));
  cases('6.18 the greatest overlong sequences', all(invalid, ['c1bf', 'e09fbf', 'f08fbfbf', 'f887bfbfbf', 'fc83bfbfbfbf']));
  cases('6.19 overlong NULs', all(invalid, ['c080', 'e08080', 'f0808080', 'f880808080', 'fc8080808080']));
  const highs = ['eda080', 'edadbf', 'edae80', 'edafbf'], lows = ['edb080', 'edbfbf'];
  cases('6.20 surrogates alone', all(invalid, [...highs, ...lows, 'edbe80']));
  cases('6.21 surrogates in pairs', all(invalid, highs.flatMap((high) => lows.map((low) => high + low))));
  cases('6.22 noncharacters', all(valid, Array.from({ length: 17 }, (_, plane) => [0xfffe, 0xffff].map((code) =>
    Buffer.from(String.fromCodePoint(plane * 0x10000 + code)).toString('hex'))).flat()));
  cases('6.23 specials', all(valid, ['efbfb9', 'efbfba', 'efbfbb', 'efbfbc', 'efbfbd', 'efbfbe', 'efbfbf']));
});

group('7 closing', () => {
  const close = (payload) => ({ frames: [frame(CLOSE, payload)], code: payload.length ? Buffer.from(payload).readUInt16BE() : 1005 });

  test('7.1.1 a message before the close is echoed', async () => {
    await runInTurn('7.1.1', [{ frames: [frame(TEXT, HELLO)], echoes: [[TEXT, HELLO]] }, { frames: [frame(CLOSE, closing(1000))] }], 1000);
  });
  cases('7.1.2 to 7.1.5 nothing counts behind a close frame', {
    '7.1.2 a second one': { frames: [frame(CLOSE, closing(1000)), frame(CLOSE, closing(1001))], code: 1000 },
    '7.1.3 a ping': { frames: [frame(CLOSE, closing(1000)), frame(PING)], code: 1000 },
    '7.1.4 a text': { frames: [frame(CLOSE, closing(1000)), frame(TEXT, HELLO)], code: 1000 },
    '7.1.5 the rest of a message': { frames: [frame(TEXT, 'a', { fin: false }), frame(CLOSE, closing(1000)), frame(CONTINUATION, 'b')], code: 1000 },
    'and nonsense': { frames: [frame(CLOSE, closing(1000)), Buffer.alloc(64, 0xff)], code: 1000 },
  });
  test('7.1.6 a large message, a small one, a close and a ping', async () => {
    const large = Buffer.alloc(262_144, 'BAsd7&jh23');
    await runInTurn('7.1.6', [{ frames: [frame(TEXT, large), frame(TEXT, HELLO)], echoes: [[TEXT, large], [TEXT, HELLO]] },
      { frames: [frame(CLOSE, closing(1000)), frame(PING)] }], 1000);
  });
  cases('7.3 payloads of close frames', {
    '7.3.1 empty': close(''),
    '7.3.2 one byte': { frames: [frame(CLOSE, 'a')], code: 1002 },
    '7.3.3 a code': close(closing(1000)),
    '7.3.4 a code and a reason': close(closing(1000, HELLO)),
    '7.3.5 the longest reason': close(closing(1000, '*'.repeat(123))),
    '7.3.6 a reason that is too long': { frames: [frame(CLOSE, closing(1000, '*'.repeat(124)))], code: 1002, ways: ['at once'] },
  });
  cases('7.5 a reason that is not UTF-8', {
    '7.5.1': { frames: [frame(CLOSE, Buffer.concat([closing(1000), NOT_UTF8]))], code: 1007 },
  });
  cases('7.7 valid codes are answered with the same', Object.fromEntries(
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map((code) => [code, close(closing(code))])));
  cases('7.9, 7.13 invalid codes fail', Object.fromEntries(
    [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) => [code, { frames: [frame(CLOSE, closing(code))], code: 1002 }])));
});

group('9 sizes', () => {
  const MB = 1 << 20;

  async function roundTrip(opcode, send, payload, what) {
    const wire = await dialWire(gateway);
    await send(wire);
    await expectFrame(wire, [opcode, payload], what);
    wire.end();
  }

  for (const [kind, opcode, fill] of [['text', TEXT, '*'], ['binary', BINARY, 0xfe]]) {
    test(`9.1, 9.2 ${kind} messages of 64 KiB to 16 MiB`, async () => {
      for (const size of [64 << 10, 256 << 10, MB, 4 * MB, 8 * MB, 16 * MB]) {
        const payload = Buffer.alloc(size, fill);
        await roundTrip(opcode, (wire) => wire.send(frame(opcode, payload)), payload, `${size} bytes`);
      }
    });
    test(`9.3, 9.4 a ${kind} message of 1 MiB in fragments of 64 bytes to 1 MiB`, async () => {
      const payload = Buffer.alloc(MB, fill);
      for (const size of [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, MB]) {
        const frames = Buffer.concat(fragments(opcode, payload, size));
        await roundTrip(opcode, (wire) => wire.send(frames), payload, `fragments of ${size} bytes`);
      }
    });
    test(`9.5, 9.6 a ${kind} message of 1 MiB in pieces of 64 bytes to 2 KiB`, async () => {
      const payload = Buffer.alloc(MB, fill), bytes = frame(opcode, payload);
      for (const size of [64, 256, 1024, 2048]) {
        await roundTrip(opcode, (wire) => wire.chopped(bytes, size), payload, `pieces of ${size} bytes`);
      }
    });
    test(`9.7, 9.8 hundreds of ${kind} messages, one after the other`, async () => {
      for (const size of [0, 16, 64, 256, 1024, 4096]) {
        const wire = await dialWire(gateway), payload = Buffer.alloc(size, fill);
        for (let i = 0; i < 200; i++) {
          wire.send(frame(opcode, payload));
          await expectFrame(wire, [opcode, payload], `${size} bytes`);
        }
        wire.end();
      }
    });
  }

  test('a message above the limit fails with 1009, in one frame and in many', async () => {
    const tooLong = Buffer.alloc(16 * MB + 1);
    for (const frames of [frame(BINARY, tooLong).subarray(0, 14), Buffer.concat(fragments(BINARY, tooLong, 4 * MB))]) {
      const wire = await dialWire(gateway);
      wire.send(frames);
      await expectClose(wire, 1009, 'too long');
      wire.end();
    }
  });
});

group('10 fragments by chance', () => {
  cases('10.1.1 a text of 65536 bytes in fragments of 1300', {
    '10.1.1': { frames: fragments(TEXT, '*'.repeat(65536), 1300), echoes: [[TEXT, '*'.repeat(65536)]], ways: ['at once'] },
  });
});

// Text that compresses, and some that does not.
function samples(size, count) {
  const words = ['cancel', 'token', 'scope', 'ação', 'await', '"id":', '{}', '\n', '12345'];
  let seed = size * 7919 + count;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff);
  return Array.from({ length: count }, () => {
    let text = '';
    while (text.length < size) text += random() % 4 ? words[random() % words.length] : random().toString(36);
    return Buffer.from(text).subarray(0, size);
  });
}

// Sends messages compressed as agreed, binary for they are cut anywhere; their echoes must be the same.
async function exchange(extensions, messages, { size = Infinity } = {}) {
  const wire = await dialWire(gateway, { extensions });
  assert.ok(wire.agreed, `${extensions} was not agreed on`);
  const pair = deflating(wire.agreed);
  for (const message of messages) {
    const bytes = await pair.compress(message);
    wire.send(Buffer.concat(fragments(BINARY, bytes, Math.min(size, bytes.length), { rsv: 4 })));
    const got = await wire.next();
    const what = `${extensions} -> ${wire.agreed}, ${message.length} bytes`;
    assert.equal(got?.opcode, BINARY, `${what}: ${got?.payload}`);
    if (message.length >= 1024) assert.equal(got.rsv, 4, `${what}: it should be compressed`);
    const back = got.rsv === 4 ? await pair.decompress(got.payload) : got.payload;
    assert.ok(back.equals(message), what);
  }
  pair.close();
  wire.send(frame(CLOSE, closing(1000)));
  await expectClose(wire, 1000, extensions);
  wire.end();
  return wire.agreed;
}

group('12 compression', () => {
  for (const [group, size, count] of [
    ['12.1', 16, 100], ['12.2', 64, 100], ['12.3', 256, 100], ['12.4', 1024, 100], ['12.5', 4096, 50],
    ['12.6', 8192, 30], ['12.7', 16384, 20], ['12.8', 32768, 10], ['12.9', 65536, 10], ['12.10', 131072, 5],
  ]) {
    test(`${group} ${count} messages of ${size} bytes, whole and in fragments`, async () => {
      await exchange('permessage-deflate', samples(size, count));
      await exchange('permessage-deflate; client_max_window_bits', samples(size, count), { size: 256 });
    });
  }

  test('empty messages, and one that ends its stream, are read', async () => {
    await exchange('permessage-deflate', [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(0)]);
    const wire = await dialWire(gateway, { extensions: 'permessage-deflate; client_no_context_takeover' });
    wire.send(frame(TEXT, hex('f348cdc9c9070000'.slice(0, 14)), { rsv: 4 })); // "Hello", BFINAL set (section 7.2.3.3)
    await expectFrame(wire, [TEXT, 'Hello'], 'a final block');
    wire.end();
  });
  test('what is not DEFLATE, and compressed text that is not UTF-8, fail with 1007', async () => {
    for (const bytes of [hex('ffffff'), await deflating('').compress(hex('cebae1bdb9cf83eda080'))]) {
      const wire = await dialWire(gateway, { extensions: 'permessage-deflate' });
      wire.send(frame(TEXT, bytes, { rsv: 4 }));
      await expectClose(wire, 1007, bytes.toString('hex'));
      wire.end();
    }
  });
  test('uncompressed messages pass between compressed ones', async () => {
    const wire = await dialWire(gateway, { extensions: 'permessage-deflate' });
    const pair = deflating(wire.agreed);
    for (let i = 0; i < 10; i++) {
      wire.send(frame(TEXT, i % 2 ? 'plain' : await pair.compress(Buffer.from('squeezed')), { rsv: i % 2 ? 0 : 4 }));
      await expectFrame(wire, [TEXT, i % 2 ? 'plain' : 'squeezed'], `message ${i}`);
    }
    pair.close();
    wire.end();
  });
});

group('13 what compression agrees on', () => {
  const sizes = [9, 10, 11, 12, 13, 14, 15];
  const windows = [[null, null], [9, 15], [15, 9], ...sizes.flatMap((bits) => [[bits, null], [null, bits], [bits, bits]])];
  const param = (key, bits) => (bits ? `; ${key}=${bits}` : '');
  const flag = (key, on) => (on ? `; ${key}` : '');
  const messages = [...samples(3000, 3), ...samples(40_000, 1), ...samples(3000, 2)];

  for (const clientAlone of [false, true]) {
    for (const serverAlone of [false, true]) {
      const takeover = `${clientAlone ? 'without' : 'with'} context takeover by the client, ${serverAlone ? 'without' : 'with'} by the server`;
      test(`windows of 9 to 15 bits on either side, ${takeover}`, async () => {
        for (const [client, server] of windows) {
          const offer = `permessage-deflate${param('client_max_window_bits', client)}${param('server_max_window_bits', server)}`
            + flag('client_no_context_takeover', clientAlone) + flag('server_no_context_takeover', serverAlone);
          const agreed = await exchange(offer, messages);
          assert.equal(agreed.includes('server_no_context_takeover'), serverAlone, `${offer} -> ${agreed}`);
          if (clientAlone) assert.ok(agreed.includes('client_no_context_takeover'), `${offer} -> ${agreed}`);
          if (server) assert.ok(Number(agreed.match(/server_max_window_bits=(\d+)/)[1]) <= server, `${offer} -> ${agreed}`);
        }
      });
    }
  }

  test('13.7 the first offer that can be met is', async () => {
    const agreed = await exchange('unknown, permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=9', samples(1000, 2));
    assert.match(agreed, /server_max_window_bits=9/);
  });
  test('offers that cannot be met are declined', async () => {
    for (const extensions of ['x-webkit-deflate-frame', 'permessage-deflate; server_max_window_bits=7', 'permessage-deflate; unknown',
      'permessage-deflate; server_no_context_takeover=1', 'permessage-deflate; client_max_window_bits=9; client_max_window_bits=9']) {
      const wire = await dialWire(gateway, { extensions });
      assert.equal(wire.agreed, null, extensions);
      wire.end();
    }
  });
});
