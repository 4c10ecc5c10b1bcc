// What browsers are asked to offer. Runs in the page: each case fills a connection, or says that this browser
// cannot.
function prefer(transceiver, mimeType) {
	const codecs = RTCRtpSender.getCapabilities('video').codecs;
	const wanted = codecs.filter((c) => c.mimeType.toLowerCase() === mimeType);
	if (!wanted.length)
		return false;
	transceiver.setCodecPreferences([...wanted, ...codecs.filter((c) => c.mimeType === 'video/rtx')]);
	return true;
}

const layers = (...rids) => rids.map((rid, i) =>
	({ rid, scaleResolutionDownBy: 2 ** (rids.length - 1 - i) }));
const send = { direction: 'sendonly' };
const receive = { direction: 'recvonly' };

export const cases = {
	publish: (pc, audio, video) => {
		pc.addTransceiver(audio, send);
		pc.addTransceiver(video, send);
		return true;
	},
	publish_simulcast: (pc, audio, video) => {
		pc.addTransceiver(audio, send);
		return prefer(pc.addTransceiver(video, { ...send, sendEncodings: layers('q', 'h', 'f') }), 'video/vp8');
	},
	publish_h264: (pc, audio, video) => {
		pc.addTransceiver(audio, send);
		return prefer(pc.addTransceiver(video, send), 'video/h264');
	},
	publish_vp9_svc: (pc, audio, video) => {
		pc.addTransceiver(audio, send);
		return prefer(pc.addTransceiver(video,
			{ ...send, sendEncodings: [{ scalabilityMode: 'L3T3_KEY' }] }), 'video/vp9');
	},
	publish_av1: (pc, audio, video) => {
		pc.addTransceiver(audio, send);
		return prefer(pc.addTransceiver(video, send), 'video/av1');
	},
	publish_data: (pc, audio, video) => {
		pc.addTransceiver(audio, send);
		pc.addTransceiver(video, send);
		pc.createDataChannel('chat');
		return true;
	},
	data_only: (pc) => {
		pc.createDataChannel('chat');
		return true;
	},
	watch: (pc) => {
		pc.addTransceiver('audio', receive);
		pc.addTransceiver('video', receive);
		return true;
	},
};

export const media = async () => {
	const stream = await navigator.mediaDevices.getUserMedia(
		{ audio: true, video: { width: 960, height: 540, frameRate: 20 } });
	return [stream.getAudioTracks()[0], stream.getVideoTracks()[0]];
};
