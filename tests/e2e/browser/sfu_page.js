// Runs in the page: publishes by WHIP and watches by WHEP with nothing but what the browser has, and tells what its
// statistics say. One session per page.
'use strict';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function offer(pc) {
	await pc.setLocalDescription();
	// Our side is ICE-lite: it learns the candidates from the checks, so that one of ours suffices.
	const gatherBy = performance.now() + 2000;
	while (pc.iceGatheringState !== 'complete' && performance.now() < gatherBy)
		await sleep(20);
	return pc.localDescription.sdp;
}

async function post(s, url, token, sdp) {
	const answer = await fetch(url, {
		method: 'POST',
		headers: { 'Content-Type': 'application/sdp', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
		body: sdp,
	});
	const body = await answer.text();
	if (answer.status !== 201)
		throw new Error(`POST ${url}: ${answer.status} ${body}`);
	s.location = new URL(answer.headers.get('Location'), url).href;
	s.etag = answer.headers.get('ETag');
	s.token = token;
	s.answer = body;
	await s.pc.setRemoteDescription({ type: 'answer', sdp: body });
}

async function connected(pc, seconds) {
	const by = performance.now() + seconds * 1000;
	while (pc.connectionState !== 'connected') {
		if (performance.now() > by)
			throw new Error(`not connected after ${seconds} s: ICE ${pc.iceConnectionState}, ${pc.connectionState}`);
		await sleep(20);
	}
}

function configuration(o) {
	return { iceServers: o.iceServers ?? [], iceTransportPolicy: o.relayOnly ? 'relay' : 'all' };
}

// Only an element that plays makes the browser decode. Each track in a stream of its own: slots are independent.
function play(s, track) {
	const element = document.createElement(track.kind);
	element.muted = track.kind === 'video';
	element.autoplay = true;
	element.srcObject = new MediaStream([track]);
	document.body.append(element);
	s.elements.push(element);
}

window.publish = async (o) => {
	const s = window.session = { role: 'publish', received: [] };
	const pc = s.pc = new RTCPeerConnection(configuration(o));
	const [width, height, frameRate] = o.size ?? [640, 360, 15];
	const stream = await navigator.mediaDevices.getUserMedia(
		{ audio: o.audio !== false, video: o.video === false ? false : { width, height, frameRate } });
	for (const track of stream.getAudioTracks())
		pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
	for (const track of stream.getVideoTracks()) {
		const encodings = o.simulcast ? ['q', 'h', 'f'].map((rid, i) =>
			({ rid, scaleResolutionDownBy: 4 >> i, maxBitrate: [120e3, 350e3, 1000e3][i] }))
			: [o.scalabilityMode ? { scalabilityMode: o.scalabilityMode } : {}];
		const transceiver = pc.addTransceiver(track,
			{ direction: 'sendonly', streams: [stream], sendEncodings: encodings });
		if (o.codec) {
			const all = RTCRtpSender.getCapabilities('video').codecs;
			const wanted = all.filter((c) => c.mimeType.toLowerCase() === `video/${o.codec.toLowerCase()}`);
			if (!wanted.length)
				throw new Error(`this browser has no ${o.codec}`);
			transceiver.setCodecPreferences([...wanted, ...all.filter((c) => c.mimeType === 'video/rtx')]);
		}
	}
	if (o.data) {
		s.channel = pc.createDataChannel(o.data.label ?? 'chat', o.data);
		s.channel.binaryType = 'arraybuffer';
	}
	await post(s, o.url, o.token, await offer(pc));
	await connected(pc, o.timeout ?? 15);
	return { location: s.location, state: pc.connectionState };
};

// Without an SFU between: the two ends of one connection, for comparison. offerDirect → answerDirect → acceptDirect.
window.offerDirect = async (o) => {
	const s = window.session = { role: 'publish', received: [] };
	const pc = s.pc = new RTCPeerConnection();
	const [width, height, frameRate] = o.size;
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width, height, frameRate } });
	for (const track of stream.getTracks())
		pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
	return offer(pc);
};

window.answerDirect = async (sdp) => {
	const s = window.session = { role: 'watch', received: [], elements: [] };
	const pc = s.pc = new RTCPeerConnection();
	pc.ontrack = ({ track }) => play(s, track);
	await pc.setRemoteDescription({ type: 'offer', sdp });
	return offer(pc);
};

window.acceptDirect = async (sdp) => {
	await window.session.pc.setRemoteDescription({ type: 'answer', sdp });
	await connected(window.session.pc, 15);
	return true;
};

// Looks ten times a second for as long: the pictures decoded, and the longest time without a new one.
window.gaps = async (seconds) => {
	const began = performance.now();
	let last = began, longest = 0, first, decoded = 0;
	while (performance.now() < began + seconds * 1000) {
		const stats = [...(await window.session.pc.getStats()).values()];
		const n = Math.max(0, ...stats.filter((x) => x.type === 'inbound-rtp' && x.kind === 'video')
			.map((x) => x.framesDecoded));
		const now = performance.now();
		first ??= n;
		if (n !== decoded)
			last = now;
		longest = Math.max(longest, now - last);
		decoded = n;
		await sleep(100);
	}
	return { frames: decoded - first, longestMs: Math.round(longest) };
};

window.watch = async (o) => {
	const s = window.session = { role: 'watch', received: [], elements: [] };
	const pc = s.pc = new RTCPeerConnection(configuration(o));
	pc.ontrack = ({ track }) => play(s, track);
	for (let i = 0; i < (o.audio ?? 1); i++)
		pc.addTransceiver('audio', { direction: 'recvonly' });
	for (let i = 0; i < (o.video ?? 1); i++)
		pc.addTransceiver('video', { direction: 'recvonly' });
	if (o.data) {
		pc.createDataChannel('probe');
		pc.ondatachannel = ({ channel }) => {
			channel.onmessage = ({ data }) => s.received.push([channel.label, typeof data === 'string' ? data : data.byteLength]);
		};
	}
	await post(s, o.url, o.token, await offer(pc));
	if (o.connect !== false)
		await connected(pc, o.timeout ?? 15);
	return { location: s.location, state: pc.connectionState };
};

// Tries until there is a publisher (409 before).
window.watchSoon = async (o) => {
	for (let i = 0; ; i++) {
		try {
			return await window.watch(o);
		} catch (e) {
			if (i === 20 || !/ 409 /.test(e.message))
				throw e;
			window.session.pc.close();
			await sleep(250);
		}
	}
};

window.leave = async () => {
	const s = window.session;
	const answer = await fetch(s.location, {
		method: 'DELETE',
		headers: s.token ? { Authorization: `Bearer ${s.token}` } : {},
	});
	s.pc.close();
	return answer.status;
};

// ICE restart by PATCH (RFC 9725 §4.3.3).
window.restart = async () => {
	const s = window.session;
	await s.pc.setLocalDescription(await s.pc.createOffer({ iceRestart: true }));
	const of = (sdp, key) => new RegExp(`^a=${key}:.*$`, 'm').exec(sdp)[0].trim();
	const sdp = s.pc.localDescription.sdp;
	const mid = of(sdp, 'mid');
	const media = /^m=.*$/m.exec(sdp)[0].trim();
	const fragment = [of(sdp, 'ice-ufrag'), of(sdp, 'ice-pwd'), media, mid, ''].join('\r\n');
	const answer = await fetch(s.location, {
		method: 'PATCH',
		headers: {
			'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*',
			...(s.token ? { Authorization: `Bearer ${s.token}` } : {}),
		},
		body: fragment,
	});
	const body = await answer.text();
	if (answer.status !== 200)
		throw new Error(`PATCH: ${answer.status} ${body}`);
	const ufrag = of(body, 'ice-ufrag');
	const pwd = of(body, 'ice-pwd');
	await s.pc.setRemoteDescription({ type: 'answer',
		sdp: s.answer.replace(/a=ice-ufrag:.*/g, ufrag).replace(/a=ice-pwd:.*/g, pwd) });
	s.etag = answer.headers.get('ETag');
	return { etag: s.etag };
};

window.say = async (texts) => {
	const s = window.session;
	for (const text of texts)
		s.channel.send(text);
	return s.channel.readyState;
};

window.look = async () => {
	const s = window.session;
	const stats = [...(await s.pc.getStats()).values()];
	const by = (id) => stats.find((x) => x.id === id);
	const transport = stats.find((x) => x.type === 'transport') ?? {};
	const pair = by(transport.selectedCandidatePairId) ?? stats.find((x) => x.type === 'candidate-pair' && x.nominated) ?? {};
	const local = by(pair.localCandidateId) ?? {};
	const codec = (x) => by(x.codecId)?.mimeType;
	return {
		role: s.role,
		at: performance.now(),
		connection: s.pc.connectionState,
		srtpCipher: transport.srtpCipher,
		localType: local.candidateType,
		relayProtocol: local.relayProtocol,
		remoteAddress: by(pair.remoteCandidateId)?.address,
		roundTripS: pair.currentRoundTripTime,
		availableOutgoing: pair.availableOutgoingBitrate,
		received: s.received,
		inbound: stats.filter((x) => x.type === 'inbound-rtp').map((x) => ({
			kind: x.kind, mid: x.mid, codec: codec(x), packets: x.packetsReceived, lost: x.packetsLost,
			bytes: x.bytesReceived, jitter: x.jitter, rtx: x.retransmittedPacketsReceived,
			framesReceived: x.framesReceived, framesDecoded: x.framesDecoded, framesDropped: x.framesDropped,
			keyFrames: x.keyFramesDecoded, freezes: x.freezeCount, freezeS: x.totalFreezesDuration,
			width: x.frameWidth, height: x.frameHeight, nacks: x.nackCount, plis: x.pliCount, firs: x.firCount,
			energy: x.totalAudioEnergy, audioLevel: x.audioLevel, concealed: x.concealedSamples,
			samples: x.totalSamplesReceived, decoder: x.decoderImplementation,
		})),
		outbound: stats.filter((x) => x.type === 'outbound-rtp').map((x) => ({
			kind: x.kind, rid: x.rid, codec: codec(x), packets: x.packetsSent, bytes: x.bytesSent,
			framesEncoded: x.framesEncoded, framesSent: x.framesSent, width: x.frameWidth, height: x.frameHeight,
			keyFrames: x.keyFramesEncoded, active: x.active, nacks: x.nackCount, plis: x.pliCount, firs: x.firCount,
			rtx: x.retransmittedPacketsSent, limitation: x.qualityLimitationReason, scalabilityMode: x.scalabilityMode,
		})),
	};
};
