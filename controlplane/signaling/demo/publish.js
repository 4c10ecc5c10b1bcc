// The page that publishes into a room.
import { Call } from './whip_whep.js';
import { $, bindSettings, check, follow, setting, showError, token } from './page.js';
import { StatsReader, onScale, rowsOfPublisher, showRows } from './stats.js';
import { camera, release, testPicture, watchLevel } from './media.js';
import { addSenders } from './sending.js';

let call, stream, stopLevel, timer;

function showRunning(isRunning) {
	$('start').hidden = isRunning;
	$('stop').hidden = !isRunning;
	$('audio').disabled = $('video').disabled = !isRunning;
	for (const name of ['room', 'participant', 'source', 'size', 'codec', 'layers', 'policy', 'token'])
		$(name).disabled = isRunning;
}

// The address may ask for fewer frames: ?fps=15.
function picture(name) {
	const height = Number($('size').value), framesPerSecond = Number(setting('fps', '30'));
	return $('source').value === 'test' ? testPicture(name, height, framesPerSecond) : camera(height, framesPerSecond);
}

async function stop() {
	clearInterval(timer);
	stopLevel?.();
	stopLevel = undefined;
	const ended = call;
	call = undefined;
	await ended?.stop();
	release(stream);
	stream = undefined;
	$('picture').srcObject = null;
	showRows($('stats'), []);
	showRunning(false);
}

async function start() {
	showError();
	showRunning(true);
	try {
		const room = check($('room').value, 'room');
		const participant = $('participant').value;
		const name = participant ? `/${check(participant, 'participant')}` : '';
		stream = await picture(participant || room);
		$('picture').srcObject = stream;
		stopLevel = watchLevel(stream, (level) => { $('level').value = onScale(level); });
		call = new Call({
			endpoint: `/whip/${room}${name}`, token: token(), policy: $('policy').value,
			prepare: (pc) => addSenders(pc, stream, $('codec').value, $('layers').value),
		});
		follow(call);
		call.addEventListener('error', stop);
		let reader;
		timer = setInterval(async () => {
			if (!call?.pc)
				return;
			if (reader?.pc !== call.pc)
				reader = new StatsReader(call.pc);
			const stats = await reader.read();
			showRows($('stats'), rowsOfPublisher(stats));
			window.lastStats = stats;
		}, 1000);
		await call.start();
	} catch (error) {
		showError(error);
		await stop();
	}
}

// A muted track still sends a little, so that the other side knows it lives.
function toggle(button, kind, on, off) {
	const tracks = kind === 'audio' ? stream.getAudioTracks() : stream.getVideoTracks();
	const isOn = !tracks[0]?.enabled;
	tracks.forEach((track) => { track.enabled = isOn; });
	button.textContent = isOn ? on : off;
	button.setAttribute('aria-pressed', String(!isOn));
}

bindSettings(['room', 'participant', 'source', 'size', 'codec', 'layers', 'policy', 'token']);
$('start').onclick = start;
$('stop').onclick = stop;
$('audio').onclick = () => toggle($('audio'), 'audio', 'Mute', 'Unmute');
$('video').onclick = () => toggle($('video'), 'video', 'Hide picture', 'Show picture');
$('overlay').onclick = () => { $('stats').hidden = !$('stats').hidden; };
showRunning(false);
if (setting('start') === '1')
	start();
