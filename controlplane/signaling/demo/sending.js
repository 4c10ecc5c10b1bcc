// How a stream is sent: codec, simulcast layers or one, for WHIP.
import { codecPreferences } from './whip_whep.js';

const KILO = 1000;
const SIMULCAST = [
	{ rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 200 * KILO },
	{ rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 700 * KILO },
	{ rid: 'f', maxBitrate: 2500 * KILO },
];
const SINGLE = [{ maxBitrate: 2500 * KILO }];

// layers: "3", "1", or "" for what suits the codec.
export function addSenders(pc, stream, codec, layers) {
	const [video] = stream.getVideoTracks();
	const [audio] = stream.getAudioTracks();
	const isSimulcast = layers === '3' || (layers === '' && (codec === 'VP8' || codec === 'H264'));

	if (audio)
		pc.addTransceiver(audio, { direction: 'sendonly', streams: [stream] });
	if (!video)
		return;
	const transceiver = pc.addTransceiver(video, {
		direction: 'sendonly', streams: [stream], sendEncodings: isSimulcast ? SIMULCAST : SINGLE,
	});
	transceiver.setCodecPreferences?.(codecPreferences(RTCRtpSender.getCapabilities('video'), codec));
}
