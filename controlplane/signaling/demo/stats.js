// Reads RTCPeerConnection.getStats() once a second and shows it over the picture. What a browser does not tell is left out.

const kilobits = (bytes, ms) => (ms > 0 ? Math.round((bytes * 8) / ms) : 0);
const whole = (value) => (value === undefined ? undefined : Math.round(value));

// "relay over UDP to 192.0.2.1:3478"
function pathOf(report) {
	const all = [...report.values()];
	const transport = all.find((s) => s.type === 'transport' && s.selectedCandidatePairId);
	const pair = transport ? report.get(transport.selectedCandidatePairId)
		: all.find((s) => s.type === 'candidate-pair' && (s.selected || (s.nominated && s.state === 'succeeded')));
	if (!pair)
		return {};
	const local = report.get(pair.localCandidateId) ?? {};
	const remote = report.get(pair.remoteCandidateId) ?? {};
	const protocol = (local.relayProtocol ?? local.protocol ?? '').toUpperCase();
	return {
		rtt_ms: whole(pair.currentRoundTripTime === undefined ? undefined : pair.currentRoundTripTime * 1000),
		path: `${local.candidateType ?? '?'} over ${protocol || '?'} to ${remote.address ?? '?'}:${remote.port ?? '?'}`,
		available_kbps: pair.availableOutgoingBitrate === undefined ? undefined
			: Math.round(pair.availableOutgoingBitrate / 1000),
		dtls: transport?.dtlsCipher,
		srtp: transport?.srtpCipher,
	};
}

export class StatsReader {
	#before = new Map();

	constructor(pc) {
		this.pc = pc;
	}

	// { path: {…}, streams: [{ kind, direction, … }] }; rates are since the call before.
	async read() {
		const report = await this.pc.getStats();
		const streams = [];
		for (const s of report.values()) {
			if (s.type !== 'inbound-rtp' && s.type !== 'outbound-rtp')
				continue;
			const before = this.#before.get(s.id);
			const isIn = s.type === 'inbound-rtp';
			const bytes = isIn ? s.bytesReceived : s.bytesSent;
			const frames = isIn ? s.framesDecoded : s.framesEncoded;
			const ms = before ? s.timestamp - before.timestamp : 0;
			const codec = report.get(s.codecId);
			const remote = report.get(s.remoteId);
			streams.push({
				kind: s.kind,
				direction: isIn ? 'in' : 'out',
				mid: s.mid,
				rid: s.rid,
				codec: codec?.mimeType.split('/')[1],
				kbps: before ? kilobits(bytes - before.bytes, ms) : 0,
				fps: s.framesPerSecond ?? (before && ms > 0 ? Math.round(((frames - before.frames) * 1000) / ms) : undefined),
				width: s.frameWidth,
				height: s.frameHeight,
				frames,
				dropped: s.framesDropped,
				freezes: s.freezeCount,
				freeze_ms: whole(s.totalFreezesDuration === undefined ? undefined : s.totalFreezesDuration * 1000),
				key_frames: isIn ? s.keyFramesDecoded : s.keyFramesEncoded,
				lost: isIn ? s.packetsLost : remote?.packetsLost,
				packets: isIn ? s.packetsReceived : s.packetsSent,
				jitter_ms: whole(s.jitter === undefined ? undefined : s.jitter * 1000),
				nacks: s.nackCount,
				plis: s.pliCount,
				audio_level: s.audioLevel,
				limited_by: s.qualityLimitationReason === 'none' ? undefined : s.qualityLimitationReason,
				rtt_ms: whole(remote?.roundTripTime === undefined ? undefined : remote.roundTripTime * 1000),
				track_id: s.trackIdentifier,
			});
			this.#before.set(s.id, { bytes, frames, timestamp: s.timestamp });
		}
		return { path: pathOf(report), streams };
	}
}

const row = (name, value) => (value === undefined || value === '' || Number.isNaN(value) ? [] : [[name, value]]);
const size = (s) => (s.width ? `${s.width}×${s.height}` : undefined);

export function rowsOfWatcher({ path, streams }) {
	const video = streams.find((s) => s.kind === 'video' && s.direction === 'in') ?? {};
	const audio = streams.find((s) => s.kind === 'audio' && s.direction === 'in') ?? {};
	const seconds = video.freeze_ms === undefined ? '' : ` (${(video.freeze_ms / 1000).toFixed(1)} s)`;
	return [
		...row('bitrate', video.kbps === undefined ? undefined : `${video.kbps + (audio.kbps ?? 0)} kb/s`),
		...row('layer', size(video)),
		...row('codec', [video.codec, audio.codec].filter(Boolean).join(', ')),
		...row('frames/s', video.fps),
		...row('decoded', video.frames),
		...row('dropped', video.dropped),
		...row('freezes', video.freezes === undefined ? undefined : `${video.freezes}${seconds}`),
		...row('lost', video.lost === undefined ? undefined : `${video.lost} of ${video.packets + video.lost}`),
		...row('NACK, PLI', video.nacks === undefined ? undefined : `${video.nacks}, ${video.plis}`),
		...row('jitter', video.jitter_ms === undefined ? undefined : `${video.jitter_ms} ms`),
		...row('round trip', path.rtt_ms === undefined ? undefined : `${path.rtt_ms} ms`),
		...row('path', path.path),
		...row('SRTP', path.srtp),
	];
}

export function rowsOfPublisher({ path, streams }) {
	const out = streams.filter((s) => s.direction === 'out');
	const videos = out.filter((s) => s.kind === 'video').sort((a, b) => (b.width ?? 0) - (a.width ?? 0));
	const audio = out.find((s) => s.kind === 'audio') ?? {};
	return [
		...videos.flatMap((s) => row(s.rid ? `layer ${s.rid}` : 'video',
			s.width ? `${size(s)} · ${s.fps ?? 0}/s · ${s.kbps} kb/s${s.limited_by ? ` · held back by ${s.limited_by}` : ''}`
				: 'paused')),
		...row('audio', audio.kbps === undefined ? undefined : `${audio.kbps} kb/s`),
		...row('codec', [videos[0]?.codec, audio.codec].filter(Boolean).join(', ')),
		...row('estimate', path.available_kbps === undefined ? undefined : `${path.available_kbps} kb/s`),
		...row('lost', videos[0]?.lost),
		...row('NACK, PLI', videos.length === 0 ? undefined
			: `${videos.reduce((n, s) => n + (s.nacks ?? 0), 0)}, ${videos.reduce((n, s) => n + (s.plis ?? 0), 0)}`),
		...row('round trip', path.rtt_ms === undefined ? undefined : `${path.rtt_ms} ms`),
		...row('path', path.path),
		...row('SRTP', path.srtp),
	];
}

export function showRows(list, rows) {
	list.replaceChildren(...rows.flatMap(([name, value]) => {
		const term = document.createElement('dt');
		const description = document.createElement('dd');
		term.textContent = name;
		description.textContent = value;
		return [term, description];
	}));
}

// 0 … 1 of the loudest that arrives now; browsers tell it in one of two places.
export function levelOf(receiver) {
	const source = receiver?.getSynchronizationSources?.()[0];
	return source?.audioLevel ?? 0;
}

// A meter moves with the ear's scale: 0 at -60 dB.
export const onScale = (level) => (level <= 0.001 ? 0 : Math.min(1, 1 + Math.log10(level) / 3));
