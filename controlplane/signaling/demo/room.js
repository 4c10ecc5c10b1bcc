// The page where everybody publishes and sees everybody: one WHIP session out, one WHEP session with a pair of sections
// for each publisher in. When publishers come or go, a new session takes over from the old one once it is connected.
import { Call, CallError, codecPreferences } from './whip_whep.js';
import { $, bindSettings, check, setting, showError, showState, token } from './page.js';
import { StatsReader, levelOf, onScale } from './stats.js';
import { camera, release, testPicture, watchLevel } from './media.js';
import { addSenders } from './sending.js';

const SLOTS_MAX = 9;
const POLL_MS = 2000;
const SPEAKS_ABOVE = 0.35;

let room, me, stream, publishing, watching, joining, pollTimer, levelTimer, stopLevel;
let watched = '';  // the names that the session in force was made for
const tiles = new Map();  // stream id → { figure, video, receivers, … }

function tileOf(id, label) {
	let tile = tiles.get(id);
	if (!tile) {
		const figure = document.createElement('figure');
		const video = Object.assign(document.createElement('video'), { autoplay: true, playsInline: true, muted: true });
		const caption = document.createElement('figcaption');
		const name = document.createElement('span');
		const numbers = document.createElement('small');
		const level = Object.assign(document.createElement('meter'), { min: 0, max: 1, value: 0 });
		figure.className = 'tile';
		name.textContent = label;
		caption.append(name, numbers, level);
		figure.append(video, caption);
		$('tiles').append(figure);
		tile = { figure, video, level, numbers, tracks: new Set() };
		tiles.set(id, tile);
	}
	return tile;
}

function removeTile(id) {
	tiles.get(id)?.figure.remove();
	tiles.delete(id);
}

async function publishers() {
	const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
	const response = await fetch(`/rooms/${room}`, { headers, cache: 'no-store' });
	if (!response.ok)
		throw new CallError((await response.text()).trim(), 'Use a token that lets its holder watch this room.');
	return (await response.json()).publishers;
}

// VP8 and what others publish; without the rest an offer of many sections stays small.
function receiveSlots(pc, n) {
	const capabilities = RTCRtpReceiver.getCapabilities('video');
	const wanted = ['VP8', 'H264', 'VP9', 'AV1'].flatMap((name) => {
		try {
			return codecPreferences(capabilities, name).slice(0, 1);
		} catch {
			return [];
		}
	});
	const repair = capabilities.codecs.filter((codec) => codec.mimeType.toLowerCase() === 'video/rtx');
	for (let i = 0; i < n; i++) {
		pc.addTransceiver('audio', { direction: 'recvonly' });
		pc.addTransceiver('video', { direction: 'recvonly' }).setCodecPreferences?.([...wanted, ...repair]);
	}
}

// One sound element for everybody would mix as well; one a tile lets a tile be silenced.
function showTrack(call, { track, streams, receiver }) {
	const id = streams[0]?.id ?? track.id;
	if (id === me)
		return;
	const add = () => {
		const tile = tileOf(id, id);
		if (tile.call !== call) {
			tile.call = call;
			tile.video.srcObject = new MediaStream();
		}
		tile.video.srcObject.addTrack(track);
		tile.video.muted = $('sound').dataset.on !== '1';
		tile.video.play().catch(() => {});
		if (track.kind === 'audio')
			tile.receiver = receiver;
		else
			tile.track = track.id;
	};
	// A section without a publisher has a track that never says anything.
	if (track.muted)
		track.addEventListener('unmute', add, { once: true });
	else
		add();
}

async function watchThem(names) {
	const n = Math.min(names.length, SLOTS_MAX);
	const next = new Call({
		endpoint: `/whep/${room}`, token: token(), prepare: (pc) => receiveSlots(pc, n), waits: true,
	});
	next.addEventListener('track', ({ detail }) => showTrack(next, detail));
	next.addEventListener('error', ({ detail }) => {
		if (next === watching || next === joining)
			showError(detail);
	});
	next.addEventListener('state', ({ detail }) => {
		if (next === joining && detail.state === 'connected') {
			const old = watching;
			watching = next;
			joining = undefined;
			next.reader = new StatsReader(next.pc);
			old?.stop();
		}
	});
	joining?.stop();
	joining = next;
	await next.start();
}

async function poll() {
	try {
		const list = await publishers();
		const others = list.map((p) => p.participant).filter((name) => name !== me).sort();
		$('count').textContent = others.length === 0 ? 'Nobody else publishes here yet.'
			: `${others.length} other${others.length > 1 ? 's' : ''}: ${others.join(', ')}`;
		for (const id of [...tiles.keys()])
			if (id !== me && !others.includes(id))
				removeTile(id);
		if (others.join() !== watched) {
			watched = others.join();
			if (others.length > 0) {
				watchThem(list.map((p) => p.participant));
			} else {
				watching?.stop();
				joining?.stop();
				watching = joining = undefined;
			}
		}
		if (watching?.pc)
			await showNumbers();
	} catch (error) {
		showError(error instanceof CallError ? error
			: new CallError('The server cannot be reached.', 'The page tries again by itself.'));
		return;
	}
	if (!publishing || publishing.state !== 'closed')
		showError();
}

async function showNumbers() {
	if (watching.reader?.pc !== watching.pc)
		watching.reader = new StatsReader(watching.pc);
	const { streams, path } = await watching.reader.read();
	for (const tile of tiles.values()) {
		const video = streams.find((s) => s.kind === 'video' && s.track_id === tile.track);
		if (video)
			tile.numbers.textContent = `${video.width ?? 0}×${video.height ?? 0} · ${video.fps ?? 0}/s · ${video.kbps} kb/s`;
	}
	window.lastStats = { streams, path };
}

function showLevels() {
	for (const [id, tile] of tiles) {
		if (id === me)
			continue;
		const level = onScale(levelOf(tile.receiver));
		tile.level.value = level;
		tile.figure.classList.toggle('speaks', level > SPEAKS_ABOVE);
	}
}

async function publish() {
	stream = $('source').value === 'test' ? testPicture(me) : await camera();
	const tile = tileOf(me, `${me} (you)`);
	tile.video.srcObject = stream;
	tile.video.muted = true;
	if ($('source').value !== 'test')
		tile.video.classList.add('mirrored');
	stopLevel = watchLevel(stream, (level) => {
		tile.level.value = onScale(level);
		tile.figure.classList.toggle('speaks', onScale(level) > SPEAKS_ABOVE);
	});
	publishing = new Call({
		endpoint: `/whip/${room}/${me}`, token: token(),
		prepare: (pc) => addSenders(pc, stream, $('codec').value, ''),
	});
	publishing.addEventListener('state', ({ detail }) => showState(detail));
	publishing.addEventListener('error', ({ detail }) => {
		showError(detail);
		leave();
	});
	await publishing.start();
}

function showRunning(isRunning) {
	$('start').hidden = isRunning;
	$('stop').hidden = !isRunning;
	$('audio').disabled = $('video').disabled = !isRunning || !stream;
	for (const name of ['room', 'participant', 'source', 'codec', 'token'])
		$(name).disabled = isRunning;
}

async function leave() {
	clearInterval(pollTimer);
	clearInterval(levelTimer);
	stopLevel?.();
	stopLevel = undefined;
	const calls = [publishing, watching, joining];
	publishing = watching = joining = undefined;
	watched = '';
	await Promise.all(calls.map((call) => call?.stop()));
	release(stream);
	stream = undefined;
	for (const id of [...tiles.keys()])
		removeTile(id);
	$('count').textContent = '';
	showState({ state: 'closed' });
	showRunning(false);
}

async function enter() {
	showError();
	showRunning(true);
	try {
		room = check($('room').value, 'room');
		me = check($('participant').value, 'participant');
		if ($('source').value !== 'none')
			await publish();
		else
			showState({ state: 'connected' });
		showRunning($('start').hidden);
		pollTimer = setInterval(poll, POLL_MS);
		levelTimer = setInterval(showLevels, 100);
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

bindSettings(['room', 'participant', 'source', 'codec', 'token']);
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
	for (const [id, tile] of tiles)
		if (id !== me)
			tile.video.muted = !isOn;
};
showRunning(false);
if (setting('start') === '1')
	enter();
