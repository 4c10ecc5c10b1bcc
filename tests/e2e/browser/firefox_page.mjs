// One headless Firefox with one page, in the network namespace that this runs in. Debian's Firefox has no driver that
// playwright speaks, so the page itself asks for what to do: a loopback server hands it the commands of standard input, one
// JSON array [function, argument] a line, and what they come to goes to standard output, {ok} or {error}. Functions are
// those of sfu_page.js. Ends with standard input.
//
//   node firefox_page.mjs
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { firefoxPreferences } from './page_server.mjs';

const page = `<!doctype html><title>page</title><script>${readFileSync(new URL('sfu_page.js', import.meta.url), 'utf8')}
(async () => {
	for (;;) {
		const [verb, argument] = await (await fetch('/next')).json();
		let answer;
		try {
			answer = { ok: (await window[verb](argument)) ?? null };
		} catch (e) {
			answer = { error: String(e.message ?? e).split('\\n')[0] };
		}
		await fetch('/answer', { method: 'POST', body: JSON.stringify(answer) });
	}
})();</script>`;

const commands = [];
let waiting; // the response that the page waits on for its next command
const hand = () => {
	if (waiting && commands.length) {
		waiting.end(commands.shift());
		waiting = undefined;
	}
};
const server = createServer((request, response) => {
	if (request.url === '/next') {
		waiting = response;
		hand();
	} else if (request.url === '/answer') {
		let body = '';
		request.on('data', (part) => { body += part; });
		request.on('end', () => {
			console.log(body);
			response.end();
		});
	} else if (request.url === '/') {
		response.setHeader('content-type', 'text/html');
		response.end(page);
	} else {
		response.writeHead(404).end();
	}
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));

const profile = mkdtempSync(join(tmpdir(), 'turnpike-firefox.'));
writeFileSync(join(profile, 'user.js'), firefoxPreferences);
const firefox = spawn(process.env.FIREFOX ?? '/usr/bin/firefox-esr',
	['--headless', '--no-remote', '--profile', profile, `http://localhost:${server.address().port}/`],
	{ stdio: 'ignore', detached: true });
let ending = false;
function end(status) {
	if (ending)
		return;
	ending = true;
	try {
		process.kill(-firefox.pid, 'SIGKILL');
	} catch (e) {
		if (e.code !== 'ESRCH')
			throw e;
	}
	// The last of its processes may still write for a moment.
	setTimeout(() => {
		rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
		process.exit(status);
	}, 100);
}
firefox.once('exit', (code) => {
	if (!ending)
		console.log(JSON.stringify({ error: `firefox ended with status ${code}` }));
	end(1);
});

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
	commands.push(line);
	hand();
});
input.on('close', () => end(0));
process.on('SIGTERM', () => end(0));
process.on('SIGINT', () => end(0));
