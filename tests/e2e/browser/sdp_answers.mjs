// A real browser offers, our SDP module answers, and the browser must take the answer as it is meant: directions,
// codecs, simulcast layers, data channels. Nothing is connected.
//
//   node sdp_answers.mjs chromium|firefox PATH_OF_sdp_answerer
import { spawnSync } from 'node:child_process';
import { browserNames, runPage } from './page_server.mjs';

const [browser, answerer] = process.argv.slice(2);
if (!browserNames.includes(browser) || !answerer) {
	console.error('usage: node sdp_answers.mjs chromium|firefox PATH_OF_sdp_answerer');
	process.exit(2);
}

const faults = [];
const seen = {};
const expect = (name, what, is, wanted) => {
	if (JSON.stringify(is) !== JSON.stringify(wanted))
		faults.push(`${name}: ${what} is ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
};

const fault = await runPage(browser, 'answers.html', (path, body) => {
	const [, verb, name] = path.split('/');
	if (verb === 'seen') {
		seen[name] = JSON.parse(body);
		return undefined;
	}
	const role = name === 'watch' ? 'watcher' : 'publisher';
	const run = spawnSync(answerer, [role], { input: body, encoding: 'utf8' });
	return run.status === 0 ? { body: run.stdout } : { status: 406, body: run.stderr };
});
if (fault)
	faults.push(fault);

// The codec that each case is about; RTX beside it.
const video = {
	publish: null,
	publish_simulcast: 'vp8',
	publish_h264: 'h264',
	publish_vp9_svc: 'vp9',
	publish_av1: 'av1',
	publish_data: null,
};
const known = ['opus', 'vp8', 'vp9', 'h264', 'av1', 'rtx'];
const wanted = browser === 'chromium' ? [...Object.keys(video), 'data_only', 'watch']
	: ['publish', 'publish_simulcast', 'publish_vp9_svc', 'publish_av1', 'publish_data', 'data_only', 'watch'];

for (const name of wanted) {
	const s = seen[name];
	if (!s || s.error) {
		faults.push(`${name}: ${s ? s.error : 'nothing seen'}`);
		continue;
	}
	expect(name, 'the signalling state', s.signalingState, 'stable');
	const isWatcher = name === 'watch';
	const direction = isWatcher ? 'recvonly' : 'sendonly';
	for (const t of s.transceivers) {
		expect(name, `direction of mid ${t.mid}`, t.direction, direction);
		// As receivers, browsers list what they offered.
		for (const codec of isWatcher ? [] : t.sends)
			if (!known.includes(codec))
				faults.push(`${name}: ${codec} was not pruned from mid ${t.mid}`);
		if (browser === 'chromium' && t.kind === 'audio' && !isWatcher)
			expect(name, 'the audio codecs', t.sends, ['opus']);
		if (browser === 'chromium' && t.kind === 'video' && video[name])
			expect(name, 'the video codecs', [...new Set(t.sends)].sort(), [video[name], 'rtx'].sort());
		if (browser === 'chromium' && !isWatcher &&
			!t.extensions.some((uri) => uri.includes('transport-wide-cc')))
			faults.push(`${name}: mid ${t.mid} has lost the transport-wide sequence number`);
	}
	const tracks = s.transceivers.map((t) => t.kind).sort().join();
	expect(name, 'the tracks', tracks, name === 'data_only' ? '' : 'audio,video');
	expect(name, 'the streams', s.streams, isWatcher ? ['room', 'room'] : []);
	if (name === 'publish_simulcast')
		expect(name, 'the layers', s.transceivers[1].rids, ['q', 'h', 'f']);
	if (name === 'publish_vp9_svc' && browser === 'chromium')
		expect(name, 'the scalability mode', s.transceivers[1].scalabilityMode, 'L3T3_KEY');
	expect(name, 'the SCTP transport', s.sctp?.maxMessageSize ?? null,
		name.includes('data') ? 262144 : null);
}

for (const line of faults)
	console.error(line);
console.log(`${browser}: ${Object.keys(seen).length} offers answered, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
