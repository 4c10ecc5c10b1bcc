// A real browser connects to our ICE, DTLS and SCTP, without workers in between.
//
//   node transport.mjs chromium|firefox ADDRESS:PORT COMMAND_OF_transport_peer…
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { browserNames, runPage } from './page_server.mjs';

const [browser, address, ...peer] = process.argv.slice(2);
if (!browserNames.includes(browser) || !peer.length) {
	console.error('usage: node transport.mjs chromium|firefox ADDRESS:PORT COMMAND_OF_transport_peer…');
	process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'turnpike-transport.'));
const result = join(scratch, 'result.json');
const faults = [];
let seen;
const expect = (what, is, wanted) => {
	if (JSON.stringify(is) !== JSON.stringify(wanted))
		faults.push(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
};

const fault = await runPage(browser, 'transport.html', (path, body) => {
	if (path === '/seen') {
		seen = JSON.parse(body);
		return undefined;
	}
	const run = spawnSync(peer[0], [...peer.slice(1), address, result], { input: body, encoding: 'utf8' });
	return run.status === 0 ? { body: run.stdout } : { status: 406, body: run.stderr };
});
if (fault)
	faults.push(fault);
for (let i = 0; i < 160 && !existsSync(result); i++)
	await new Promise((resolve) => setTimeout(resolve, 100));
const ours = existsSync(result) ? JSON.parse(readFileSync(result, 'utf8')) : {};
rmSync(scratch, { recursive: true, force: true });

if (seen) {
	expect('the connection', seen.connection, 'connected');
	expect('channels of ours', seen.opened, [{ label: 'greeting', ordered: false, maxRetransmits: 5 }]);
	expect('what came on the channel of ours', seen.received.filter(([label]) => label === 'greeting'),
		[['greeting', 'hello'], ['greeting', 'and hello to you']]);
	expect('what came back on the channel of the browser', seen.received.filter(([label]) => label === 'chat'),
		[['chat', 'first'], ['chat', ''], ['chat', 'bytes', 3, 6], ['chat', 200000]]);
	if (seen.srtpCipher)
		expect('the SRTP cipher', seen.srtpCipher.replace(/^SRTP_/, ''), 'AEAD_AES_128_GCM');
}
expect('the profile', ours.profile, 'AEAD_AES_128_GCM');
expect('packets that the keys did not open', ours.rtpBad, 0);
expect('how it ended', ours.closed, 'peer');
for (const [what, count] of Object.entries({ 'checks': ours.checks, 'nominations': ours.nominations,
	'cookies': ours.cookies, 'media packets': ours.rtp }))
	if (!(count > 0))
		faults.push(`no ${what}`);

for (const line of faults)
	console.error(line);
console.log(`${browser}: ${JSON.stringify({ ...ours, openMs: seen?.openMs, dtlsCipher: seen?.dtlsCipher })}`);
process.exit(faults.length ? 1 : 0);
