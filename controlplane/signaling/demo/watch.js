// The page that watches one publisher.
import { Call } from './whip_whep.js';
import { $, bindSettings, check, follow, setting, showError, token } from './page.js';
import { StatsReader, levelOf, onScale, rowsOfWatcher, showRows } from './stats.js';

let call, timer, levelTimer;

function showRunning(isRunning) {
	$('start').hidden = isRunning;
	$('stop').hidden = !isRunning;
	for (const name of ['room', 'participant', 'policy', 'token'])
		$(name).disabled = isRunning;
}

async function stop() {
	clearInterval(timer);
	clearInterval(levelTimer);
	const ended = call;
	call = undefined;
	await ended?.stop();
	$('picture').srcObject = null;
	$('level').value = 0;
	showRows($('stats'), []);
	showRunning(false);
}

// A connection of its own for each attempt: tracks of the one before are gone with it.
function receive(pc) {
	const stream = new MediaStream();
	pc.addTransceiver('audio', { direction: 'recvonly' });
	pc.addTransceiver('video', { direction: 'recvonly' });
	pc.addEventListener('track', ({ track }) => stream.addTrack(track));
	$('picture').srcObject = stream;
	$('picture').play().catch(() => {});
}

async function start() {
	showError();
	showRunning(true);
	try {
		const room = check($('room').value, 'room');
		const participant = $('participant').value;
		const name = participant ? `/${check(participant, 'participant')}` : '';
		let reader;
		call = new Call({
			endpoint: `/whep/${room}${name}`, token: token(), policy: $('policy').value, prepare: receive, waits: true,
		});
		follow(call);
		call.addEventListener('error', stop);
		timer = setInterval(async () => {
			if (!call?.pc)
				return;
			if (reader?.pc !== call.pc)
				reader = new StatsReader(call.pc);
			const stats = await reader.read();
			showRows($('stats'), rowsOfWatcher(stats));
			window.lastStats = stats;
		}, 1000);
		levelTimer = setInterval(() => {
			const receiver = call?.pc?.getReceivers().find((r) => r.track.kind === 'audio');
			$('level').value = onScale(levelOf(receiver));
		}, 100);
		await call.start();
	} catch (error) {
		showError(error);
		await stop();
	}
}

bindSettings(['room', 'participant', 'policy', 'token']);
$('start').onclick = start;
$('stop').onclick = stop;
$('sound').onclick = () => {
	const picture = $('picture');
	picture.muted = !picture.muted;
	$('sound').textContent = picture.muted ? 'Sound on' : 'Sound off';
};
$('overlay').onclick = () => { $('stats').hidden = !$('stats').hidden; };
$('full').onclick = () => $('stage').requestFullscreen?.();
showRunning(false);
if (setting('start') === '1')
	start();
