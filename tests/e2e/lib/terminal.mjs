// A command in a terminal of its own, which 'script' (Debian's bsdutils) makes.
import { spawn } from 'node:child_process';
import { within } from './gateway.mjs';

export class Terminal {
  #wake = () => {};
  text = ''; // shown, and not taken yet
  gone = false; // it has ended

  constructor(t, ...command) {
    const line = `exec ${command.map((word) => `'${word}'`).join(' ')}`; // a shell that stays would take Ctrl-C for its own
    const env = { ...process.env, SHELL: '/bin/sh' };
    this.child = spawn('script', ['-qefc', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'], env });
    t.after(() => this.child.kill('SIGKILL'));
    this.ended = new Promise((resolve) => this.child.once('close', (code) => {
      this.gone = true;
      this.#wake();
      resolve(code);
    }));
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      this.text += text;
      this.#wake();
    });
  }

  type(text) {
    this.child.stdin.write(text);
    return this;
  }

  // Waits until 'regex' has been shown, and takes all up to its end.
  async shows(regex) {
    for (;;) {
      const match = this.text.match(regex);
      if (match) {
        this.text = this.text.slice(match.index + match[0].length);
        return match;
      }
      if (this.gone) throw new Error(`ended before ${regex}: ${JSON.stringify(this.text)}`);
      await within(new Promise((wake) => (this.#wake = wake)), () => `${regex} in ${JSON.stringify(this.text)}`);
    }
  }

  // Resolves to the command's exit code.
  code() {
    return within(this.ended, () => `the end of the session: ${JSON.stringify(this.text)}`);
  }
}
