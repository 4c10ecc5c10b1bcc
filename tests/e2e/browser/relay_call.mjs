// A call between two RTCPeerConnections of one headless Chromium that may use nothing but relay candidates.
// Fake camera and microphone, video and audio both ways. Prints what was seen as JSON and ends with status 1
// when the call is not what it should be.
//
//   node relay_call.mjs TURN_URL USER PASSWORD SECONDS [CHROMIUM_ARGUMENT…]
import { chromium } from 'playwright-core';

const [url, username, credential, secondsText, ...chromiumArgs] = process.argv.slice(2);
const seconds = Number(secondsText);
if (!url || !username || !credential || !(seconds >= 1)) {
	console.error('usage: node relay_call.mjs TURN_URL USER PASSWORD SECONDS [CHROMIUM_ARGUMENT…]');
	process.exit(2);
}

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: [
		'--headless=new',
		'--no-sandbox',
		'--use-fake-ui-for-media-stream',
		'--use-fake-device-for-media-stream',
		'--autoplay-policy=no-user-gesture-required',
		'--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks',
		'--disable-background-networking',
		'--disable-component-update',
		'--disable-sync',
		'--disable-gpu',
		'--no-first-run',
		...chromiumArgs,
	],
});

let report;
try {
	const page = await browser.newPage();
	// Camera and microphone need a secure origin; this one is answered here, without any network.
	await page.route('https://call.turnpike.test/', (route) =>
		route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>call</title>' }));
	await page.goto('https://call.turnpike.test/');
	report = await page.evaluate(call, { url, username, credential, seconds });
} finally {
	await browser.close();
}

const faults = [];
for (const side of ['caller', 'callee']) {
	const seen = report[side];
	if (!seen)
		continue;
	if (seen.localType !== 'relay' || seen.remoteType !== 'relay')
		faults.push(`${side}: selected pair is ${seen.localType}/${seen.remoteType}, not relay/relay`);
	if (!(seen.framesDecoded > 5 * seconds))
		faults.push(`${side}: ${seen.framesDecoded} video frames decoded in ${seconds} s`);
	if (!(seen.audioPackets > 25 * seconds))
		faults.push(`${side}: ${seen.audioPackets} audio packets in ${seconds} s`);
	if (!(seen.audioEnergy > 0))
		faults.push(`${side}: the audio is silent`);
	if (!(seen.longestFreezeS < 3))
		faults.push(`${side}: no new frame for ${seen.longestFreezeS} s`);
}
if (report.fault)
	faults.push(report.fault);
console.log(JSON.stringify({ ...report, faults }, null, 2));
process.exit(faults.length ? 1 : 0);

// Runs in the page.
async function call({ url, username, credential, seconds }) {
	const config = { iceTransportPolicy: 'relay', iceServers: [{ urls: [url], username, credential }] };
	const caller = new RTCPeerConnection(config);
	const callee = new RTCPeerConnection(config);
	const iceErrors = [];
	const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

	for (const [one, other] of [[caller, callee], [callee, caller]]) {
		one.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate);
		one.onicecandidateerror = (e) => iceErrors.push(`${e.errorCode} ${e.errorText}`);
		one.ontrack = ({ track, streams }) => {
			// Only an element that plays makes the browser decode.
			const element = document.createElement(track.kind);
			element.muted = track.kind === 'video';
			element.autoplay = true;
			element.srcObject = streams[0];
			document.body.append(element);
		};
		const media = await navigator.mediaDevices.getUserMedia(
			{ audio: true, video: { width: 640, height: 480, frameRate: 20 } });
		media.getTracks().forEach((track) => one.addTrack(track, media));
	}

	await caller.setLocalDescription();
	await callee.setRemoteDescription(caller.localDescription);
	await callee.setLocalDescription();
	await caller.setRemoteDescription(callee.localDescription);

	const connectBy = performance.now() + 20000;
	const connected = () => [caller, callee].every((pc) => pc.connectionState === 'connected');
	while (!connected()) {
		if (performance.now() > connectBy)
			return { fault: `not connected: ${caller.connectionState}/${callee.connectionState}`, iceErrors };
		await sleep(50);
	}

	const look = async (pc) => {
		const stats = [...(await pc.getStats()).values()];
		const by = (id) => stats.find((s) => s.id === id);
		const inbound = (kind) => stats.find((s) => s.type === 'inbound-rtp' && s.kind === kind) ?? {};
		const transport = stats.find((s) => s.type === 'transport');
		const pair = by(transport?.selectedCandidatePairId) ?? {};
		const local = by(pair.localCandidateId) ?? {};
		return {
			localType: local.candidateType,
			remoteType: by(pair.remoteCandidateId)?.candidateType,
			relayProtocol: local.relayProtocol,
			localAddress: local.address,
			framesDecoded: inbound('video').framesDecoded ?? 0,
			videoPackets: inbound('video').packetsReceived ?? 0,
			videoLost: inbound('video').packetsLost ?? 0,
			audioPackets: inbound('audio').packetsReceived ?? 0,
			audioLost: inbound('audio').packetsLost ?? 0,
			audioEnergy: inbound('audio').totalAudioEnergy ?? 0,
			roundTripS: pair.currentRoundTripTime,
		};
	};

	const sides = { caller, callee };
	const progress = {};
	for (const name of Object.keys(sides))
		progress[name] = { frames: 0, since: performance.now(), longestFreezeS: 0 };
	const endBy = performance.now() + seconds * 1000;
	while (performance.now() < endBy) {
		await sleep(500);
		for (const [name, pc] of Object.entries(sides)) {
			const { framesDecoded } = await look(pc);
			const p = progress[name];
			if (framesDecoded > p.frames) {
				p.frames = framesDecoded;
				p.since = performance.now();
			}
			p.longestFreezeS = Math.max(p.longestFreezeS, (performance.now() - p.since) / 1000);
		}
	}
	const result = { iceErrors };
	for (const [name, pc] of Object.entries(sides)) {
		result[name] = await look(pc);
		result[name].longestFreezeS = progress[name].longestFreezeS;
	}
	return result;
}
