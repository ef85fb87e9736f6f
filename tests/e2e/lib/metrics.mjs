// Prometheus' text format, read strictly: what is not as its specification says is an assertion that fails.
import assert from 'node:assert/strict';

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)/y;
const SUFFIXES = { histogram: ['_bucket', '_sum', '_count'], counter: [''], gauge: [''] };

function readLabels(text) {
  const labels = {};
  for (LABEL.lastIndex = 0; LABEL.lastIndex < text.length;) {
    const match = LABEL.exec(text);
    assert.ok(match, `labels: ${text}`);
    assert.ok(!(match[1] in labels), `a label twice: ${text}`);
    labels[match[1]] = match[2].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
  }
  return labels;
}

const keyOf = (name, labels) => `${name}{${Object.entries(labels).sort().map(([k, v]) => `${k}=${v}`).join(',')}}`;

function checkHistogram({ name, samples }) {
  const series = new Map();
  for (const { name: of, labels: { le, ...labels }, value } of samples) {
    const key = keyOf(name, labels);
    if (!series.has(key)) series.set(key, { buckets: [] });
    if (of.endsWith('_bucket')) series.get(key).buckets.push([le === '+Inf' ? Infinity : Number(le), value]);
    else series.get(key)[of.slice(name.length)] = value;
  }
  for (const [key, { buckets, _sum, _count }] of series) {
    assert.ok(buckets.every(([le, n], i) => i === 0 || (le > buckets[i - 1][0] && n >= buckets[i - 1][1])), key);
    assert.equal(buckets.at(-1)[0], Infinity, key);
    assert.equal(buckets.at(-1)[1], _count, key);
    assert.ok(_sum >= 0, key);
  }
}

export class Metrics {
  families = new Map(); // {name, type, help, samples: [{name, labels, value}]} by name

  constructor(text) {
    const seen = new Set();
    let family;
    assert.ok(text.endsWith('\n'));
    for (const line of text.slice(0, -1).split('\n')) {
      const [, word, name, rest] = line.match(/^# (HELP|TYPE) (\S+) (.+)$/) ?? [];
      if (word === 'HELP') {
        assert.ok(!this.families.has(name), `${name} twice`);
        family = { name, help: rest, samples: [] };
        this.families.set(name, family);
      } else if (word === 'TYPE') {
        assert.equal(name, family.name);
        assert.ok(rest in SUFFIXES && !family.type, line);
        assert.equal(rest === 'counter', name.endsWith('_total'), line);
        family.type = rest;
      } else {
        const match = line.match(SAMPLE);
        assert.ok(match, line);
        const sample = { name: match[1], labels: readLabels(match[2] ?? ''), value: Number(match[3]) };
        const key = keyOf(sample.name, sample.labels);
        assert.ok(SUFFIXES[family.type].some((suffix) => sample.name === family.name + suffix), line);
        assert.ok(Number.isFinite(sample.value), line);
        assert.ok(!seen.has(key), `${key} twice`);
        seen.add(key);
        family.samples.push(sample);
      }
    }
    for (const each of this.families.values()) if (each.type === 'histogram') checkHistogram(each);
  }

  // The sum of the samples of that name that have these labels; 0 if there are none.
  get(name, labels = {}) {
    const family = this.families.get(name) ?? this.families.get(name.replace(/_(bucket|sum|count)$/, ''));
    assert.ok(family, `there is no metric ${name}`);
    return family.samples
      .filter((sample) => sample.name === name && Object.entries(labels).every(([k, v]) => sample.labels[k] === v))
      .reduce((sum, { value }) => sum + value, 0);
  }

  // The values that a label of a metric has.
  values(name, label) {
    return [...new Set(this.families.get(name).samples.map(({ labels }) => labels[label]))];
  }
}
