// Where pictures and sound come from: the camera, or a picture and a tone made here.
import { CallError } from './whip_whep.js';

const FRAMES_PER_SECOND = 30;

// 16:9 of this height.
const widthOf = (height) => Math.round((height * 16) / 9 / 2) * 2;

function explain(error) {
	const known = {
		NotAllowedError: ['The browser does not let this page use the camera.',
			'Allow camera and microphone beside the address, or choose the test picture.'],
		NotFoundError: ['There is no camera or no microphone.', 'Connect one, or choose the test picture.'],
		NotReadableError: ['The camera is busy.', 'Close the other program that uses it, or choose the test picture.'],
		OverconstrainedError: ['The camera cannot do what was asked.', 'Choose the test picture.'],
	};
	const [what, remedy] = known[error.name] ?? [error.message, 'Choose the test picture.'];
	return new CallError(what, remedy);
}

export async function camera(height, framesPerSecond = FRAMES_PER_SECOND) {
	if (!navigator.mediaDevices)
		throw new CallError('Browsers give a camera to secure pages only.',
			'Open this page with https://, or choose the test picture.');
	try {
		return await navigator.mediaDevices.getUserMedia({
			audio: { echoCancellation: true, noiseSuppression: true },
			video: { width: { ideal: widthOf(height) }, height: { ideal: height }, frameRate: { ideal: framesPerSecond } },
		});
	} catch (error) {
		throw explain(error);
	}
}

// A picture that shows whether it moves, how late it is, and what the codec does to edges and colour; a tone each second.
export function testPicture(name, height, framesPerSecond = FRAMES_PER_SECOND) {
	const WIDTH = 1280, HEIGHT = 720; // drawn at this size, then scaled
	const canvas = Object.assign(document.createElement('canvas'), { width: widthOf(height), height });
	const context = canvas.getContext('2d', { alpha: false });
	const colours = ['#e8e8e8', '#e8e84a', '#4ae8e8', '#4ae84a', '#e84ae8', '#e84a4a', '#4a4ae8'];
	let n = 0;
	context.scale(canvas.width / WIDTH, height / HEIGHT);
	const draw = () => {
		colours.forEach((colour, i) => {
			context.fillStyle = colour;
			context.fillRect((i * WIDTH) / colours.length, 0, WIDTH / colours.length + 1, HEIGHT);
		});
		const angle = (n / framesPerSecond) * Math.PI;
		context.fillStyle = 'rgb(12 16 24 / 82%)';
		context.fillRect(WIDTH * 0.2, HEIGHT * 0.28, WIDTH * 0.6, HEIGHT * 0.44);
		context.fillStyle = '#ffb454';
		context.beginPath();
		context.arc(WIDTH / 2 + Math.cos(angle) * WIDTH * 0.38, HEIGHT / 2 + Math.sin(angle) * HEIGHT * 0.38, 34, 0, 7);
		context.fill();
		context.fillStyle = '#fff';
		context.textAlign = 'center';
		context.font = '600 92px system-ui, sans-serif';
		context.fillText(new Date().toISOString().slice(11, 23), WIDTH / 2, HEIGHT / 2 + 10);
		context.font = '40px system-ui, sans-serif';
		context.fillText(`${name} · frame ${n++}`, WIDTH / 2, HEIGHT / 2 + 90);
	};
	draw();
	const timer = setInterval(draw, 1000 / framesPerSecond);
	const stream = canvas.captureStream(framesPerSecond);
	const audio = new AudioContext();
	const tone = new OscillatorNode(audio, { frequency: 440 });
	const loudness = new GainNode(audio, { gain: 0 });
	const out = new MediaStreamAudioDestinationNode(audio);
	tone.connect(loudness).connect(out);
	tone.start();
	audio.resume();
	const beep = setInterval(() => {
		loudness.gain.setTargetAtTime(0.25, audio.currentTime, 0.02);
		loudness.gain.setTargetAtTime(0, audio.currentTime + 0.3, 0.05);
	}, 1000);
	stream.addTrack(out.stream.getAudioTracks()[0]);
	stream.getVideoTracks()[0].contentHint = 'motion';
	stream.release = () => {
		clearInterval(timer);
		clearInterval(beep);
		audio.close();
	};
	return stream;
}

export function release(stream) {
	stream?.getTracks().forEach((track) => track.stop());
	stream?.release?.();
}

// Calls back with 0 … 1 while the stream lives.
export function watchLevel(stream, onLevel) {
	const audio = new AudioContext();
	const analyser = new AnalyserNode(audio, { fftSize: 1024 });
	const samples = new Float32Array(analyser.fftSize);
	audio.createMediaStreamSource(stream).connect(analyser);
	audio.resume();
	const timer = setInterval(() => {
		analyser.getFloatTimeDomainData(samples);
		onLevel(Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length));
	}, 100);
	return () => {
		clearInterval(timer);
		audio.close();
	};
}
