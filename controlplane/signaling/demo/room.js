// The page where everybody publishes and sees everybody: one WHIP session out, and one WHEP session in, whose sections are
// seats that the server fills with whoever publishes. Who sits where it tells at /rooms/ROOM/SESSION.
import { Call, CallError, codecPreferences } from './whip_whep.js';
import { $, bindSettings, check, setting, showError, showState, token } from './page.js';
import { StatsReader, levelOf, onScale } from './stats.js';
import { camera, release, testPicture, watchLevel } from './media.js';
import { addSenders } from './sending.js';

const SEATS = 9;
const POLL_MS = 1000;
const SPEAKS_ABOVE = 0.35;

let room, me, stream, publishing, watching, pollTimer, levelTimer, stopLevel, isIn = false;
let seats = { audio: [], video: [] }; // transceivers by seat
const tiles = new Map(); // by participant

function tileOf(participant, label = participant) {
	if (tiles.has(participant))
		return tiles.get(participant);
	const element = (name, properties) => Object.assign(document.createElement(name), properties);
	const tile = {
		figure: element('figure', { className: 'tile' }),
		video: element('video', { autoplay: true, playsInline: true, muted: true }),
		numbers: element('small'),
		level: element('meter', { min: 0, max: 1, value: 0 }),
		name: element('span', { textContent: label }),
	};
	const caption = element('figcaption');
	caption.append(tile.name, tile.numbers, tile.level);
	tile.figure.append(tile.video, caption);
	$('tiles').append(tile.figure);
	tiles.set(participant, tile);
	return tile;
}

function removeTile(participant) {
	tiles.get(participant)?.figure.remove();
	tiles.delete(participant);
}

// Whatever this browser decodes, in the order of the list; what nobody sends here would only lengthen the offer.
function takeSeats(pc) {
	const capabilities = RTCRtpReceiver.getCapabilities('video');
	const wanted = ['VP8', 'H264', 'VP9', 'AV1'].flatMap((name) => {
		try {
			const codecs = codecPreferences(capabilities, name);
			return codecs.filter((codec) => !codec.mimeType.toLowerCase().endsWith('/rtx'));
		} catch {
			return [];
		}
	});
	const repair = capabilities.codecs.filter((codec) => codec.mimeType.toLowerCase() === 'video/rtx');
	seats = { audio: [], video: [] };
	for (let i = 0; i < SEATS; i++) {
		seats.audio.push(pc.addTransceiver('audio', { direction: 'recvonly' }));
		seats.video.push(pc.addTransceiver('video', { direction: 'recvonly' }));
		seats.video[i].setCodecPreferences?.([...wanted, ...repair]);
	}
}

async function ask(path) {
	const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
	const response = await fetch(path, { headers, cache: 'no-store', signal: AbortSignal.timeout(5000) });
	if (!response.ok) {
		const error = new CallError((await response.text()).trim(),
			'Use a token that lets its holder watch this room.');
		error.status = response.status;
		throw error;
	}
	return response.json();
}

// A tile shows the tracks of the seats that its participant has.
function seat(participant, kinds) {
	const tile = tileOf(participant);
	const receivers = ['audio', 'video'].map((kind) => seats[kind][kinds[kind]]?.receiver).filter(Boolean);
	const key = receivers.map((receiver) => receiver.track.id).join();
	tile.audio = seats.audio[kinds.audio]?.receiver;
	tile.track = seats.video[kinds.video]?.receiver.track.id;
	if (tile.key === key)
		return;
	tile.key = key;
	tile.video.srcObject = new MediaStream(receivers.map((receiver) => receiver.track));
	tile.video.muted = $('sound').dataset.on !== '1';
	tile.video.play().catch(() => {});
}

function showSeats(list) {
	const by = new Map();
	for (const { participant, kind, index } of list)
		if (participant !== me)
			by.set(participant, { ...by.get(participant), [kind]: index });
	for (const participant of [...tiles.keys()])
		if (participant !== me && !by.has(participant))
			removeTile(participant);
	for (const [participant, kinds] of by)
		seat(participant, kinds);
}

function showCount(publishers) {
	const others = publishers.map((p) => p.participant).filter((name) => name !== me);
	$('count').textContent = others.length === 0 ? 'Nobody else publishes here yet.'
		: `${others.length} other${others.length > 1 ? 's' : ''}: ${others.join(', ')}.`;
}

async function poll() {
	try {
		const session = watching?.session;
		let answer;
		try {
			answer = await ask(session ? `/rooms/${room}/${session}` : `/rooms/${room}`);
		} catch (error) {
			if (error.status !== 404)
				throw error;
			answer = await ask(`/rooms/${room}`);  // the call finds out that its session is gone, and joins again
		}
		if (!isIn)
			return;
		showCount(answer.publishers);
		if (answer.seats)
			showSeats(answer.seats);
		if (!watching && answer.publishers.length > 0)
			watch();
		await showNumbers();
		showError();
	} catch (error) {
		if (isIn)
			showError(error instanceof CallError ? error
				: new CallError('The server cannot be reached.', 'The page tries again by itself.'));
	}
}

function watch() {
	watching = new Call({ endpoint: `/whep/${room}`, token: token(), prepare: takeSeats, waits: true });
	watching.addEventListener('error', ({ detail }) => {
		watching = undefined;
		showError(detail);
	});
	if (!publishing)
		watching.addEventListener('state', ({ detail }) => showState(detail));
	watching.start();
}

async function showNumbers() {
	if (!watching?.pc)
		return;
	if (watching.reader?.pc !== watching.pc)
		watching.reader = new StatsReader(watching.pc);
	const { streams, path } = await watching.reader.read();
	for (const tile of tiles.values()) {
		const video = streams.find((s) => s.kind === 'video' && s.track_id === tile.track);
		if (tile.track)
			tile.numbers.textContent = video?.width
				? `${video.width}×${video.height} · ${video.fps ?? 0}/s · ${video.kbps} kb/s` : '';
	}
	window.lastStats = { streams, path };
}

function showLevel(tile, level) {
	tile.level.value = level;
	tile.figure.classList.toggle('speaks', level > SPEAKS_ABOVE);
}

// The address may ask for fewer frames: ?fps=15.
function picture(name) {
	const height = Number($('size').value), framesPerSecond = Number(setting('fps', '30'));
	return $('source').value === 'test' ? testPicture(name, height, framesPerSecond) : camera(height, framesPerSecond);
}

async function publish() {
	stream = await picture(me);
	const tile = tileOf(me, `${me} (you)`);
	tile.video.srcObject = stream;
	tile.video.classList.toggle('mirrored', $('source').value !== 'test');
	stopLevel = watchLevel(stream, (level) => showLevel(tile, onScale(level)));
	publishing = new Call({
		endpoint: `/whip/${room}/${me}`, token: token(),
		prepare: (pc) => addSenders(pc, stream, $('codec').value, ''),
	});
	publishing.addEventListener('state', ({ detail }) => showState(detail));
	const failed = new Promise((resolve, reject) => {
		publishing.addEventListener('error', ({ detail }) => reject(detail));
		publishing.addEventListener('state', ({ detail }) => detail.state === 'connecting' && resolve());
	});
	failed.catch(async (error) => {
		await leave();
		showError(error);
	});
	publishing.start();
	await failed;
}

function showRunning(isRunning) {
	$('start').hidden = isRunning;
	$('stop').hidden = !isRunning;
	$('audio').disabled = $('video').disabled = !isRunning || !stream;
	for (const name of ['room', 'participant', 'source', 'size', 'codec', 'token'])
		$(name).disabled = isRunning;
}

async function leave() {
	isIn = false;
	clearInterval(pollTimer);
	clearInterval(levelTimer);
	stopLevel?.();
	stopLevel = undefined;
	const calls = [publishing, watching];
	publishing = watching = undefined;
	await Promise.all(calls.map((call) => call?.stop()));
	release(stream);
	stream = undefined;
	for (const participant of [...tiles.keys()])
		removeTile(participant);
	$('count').textContent = '';
	showState({ state: 'closed' });
	showRunning(false);
}

async function enter() {
	showError();
	isIn = true;
	showRunning(true);
	try {
		room = check($('room').value, 'room');
		me = check($('participant').value, 'participant');
		if ($('source').value === 'none')
			me = '';
		else
			await publish();
		showRunning(true);
		pollTimer = setInterval(poll, POLL_MS);
		levelTimer = setInterval(() => {
			for (const [participant, tile] of tiles)
				if (participant !== me)
					showLevel(tile, onScale(levelOf(tile.audio)));
		}, 100);
		await poll();
	} catch (error) {
		await leave();
		showError(error);
	}
}

function toggle(button, tracks, on, off) {
	const isOn = !tracks[0]?.enabled;
	tracks.forEach((track) => { track.enabled = isOn; });
	button.textContent = isOn ? on : off;
	button.setAttribute('aria-pressed', String(!isOn));
}

bindSettings(['room', 'participant', 'source', 'size', 'codec', 'token']);
if ($('participant').value === '')
	$('participant').value = `guest-${Math.random().toString(36).slice(2, 6)}`;
$('start').onclick = enter;
$('stop').onclick = leave;
$('audio').onclick = () => toggle($('audio'), stream.getAudioTracks(), 'Mute', 'Unmute');
$('video').onclick = () => toggle($('video'), stream.getVideoTracks(), 'Hide picture', 'Show picture');
$('sound').onclick = () => {
	const isOn = $('sound').dataset.on !== '1';
	$('sound').dataset.on = isOn ? '1' : '0';
	$('sound').textContent = isOn ? 'Sound off' : 'Sound on';
	for (const [participant, tile] of tiles)
		if (participant !== me)
			tile.video.muted = !isOn;
};
showRunning(false);
if (setting('start') === '1')
	enter();
