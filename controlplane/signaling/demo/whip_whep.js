// A call over WHIP (RFC 9725) or WHEP (draft-ietf-wish-whep-02): join, trickle, repair, leave. No dependencies.

const FRAGMENT = 'application/trickle-ice-sdpfrag';
const SIGNALING_TIMEOUT_MS = 10000;
const DISCONNECTED_PATIENCE_MS = 2500;
const REJOIN_LONGEST_MS = 10000;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What went wrong and what a person can do about it.
export class CallError extends Error {
	constructor(what, remedy, status = 0) {
		super(what);
		this.remedy = remedy;
		this.status = status;
	}
}

// Link: <turn:…>; rel="ice-server"; username="…"; credential="…"  →  RTCIceServer[] (RFC 9725 §4.6)
export function iceServersOf(header) {
	const servers = [];
	for (const [, urls, parameters] of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+="[^"]*")*)/g)) {
		const value = (name) => parameters.match(new RegExp(`;\\s*${name}="([^"]*)"`))?.[1];
		if (value('rel') !== 'ice-server')
			continue;
		const server = { urls };
		if (value('username') !== undefined)
			Object.assign(server, { username: value('username'), credential: value('credential') });
		servers.push(server);
	}
	return servers;
}

const lines = (sdp) => sdp.split(/\r?\n/).filter((line) => line !== '');
const valueOf = (sdp, name) => lines(sdp).find((line) => line.startsWith(`a=${name}:`))?.slice(name.length + 3);

// The m-line of a section, for the fragments that speak of it.
function mediaLine(sdp, mid) {
	let media;
	for (const line of lines(sdp)) {
		if (line.startsWith('m='))
			media = line;
		if (line === `a=mid:${mid}`)
			return media;
	}
	return undefined;
}

// RFC 8840 §9: credentials, and the candidates below their section.
export function fragmentOf(sdp, candidates, isEnd) {
	const out = [];
	const options = lines(sdp).find((line) => line.startsWith('a=ice-options:'));
	if (options)
		out.push(options);
	const group = lines(sdp).find((line) => line.startsWith('a=group:BUNDLE'));
	if (group)
		out.push(group);
	const mids = [...new Set(candidates.map((candidate) => candidate.sdpMid))];
	if (mids.length === 0)
		mids.push(valueOf(sdp, 'mid'));
	for (const mid of mids) {
		out.push(mediaLine(sdp, mid) ?? 'm=audio 9 UDP/TLS/RTP/SAVPF 0', `a=mid:${mid}`,
			`a=ice-ufrag:${valueOf(sdp, 'ice-ufrag')}`, `a=ice-pwd:${valueOf(sdp, 'ice-pwd')}`);
		for (const candidate of candidates)
			if (candidate.sdpMid === mid)
				out.push(`a=${candidate.candidate}`);
		if (isEnd)
			out.push('a=end-of-candidates');
	}
	return `${out.join('\r\n')}\r\n`;
}

// The answer in force with the credentials and candidates of a fragment: what a restarted ICE session needs.
export function answerAfterRestart(answer, fragment) {
	const ufrag = valueOf(fragment, 'ice-ufrag');
	const pwd = valueOf(fragment, 'ice-pwd');
	const candidates = lines(fragment).filter((line) => line.startsWith('a=candidate:'));
	const out = [];
	for (const line of lines(answer)) {
		if (line.startsWith('a=candidate:') || line === 'a=end-of-candidates')
			continue;
		if (line.startsWith('a=ice-ufrag:'))
			out.push(`a=ice-ufrag:${ufrag}`);
		else if (line.startsWith('a=ice-pwd:'))
			out.push(`a=ice-pwd:${pwd}`, ...candidates);
		else
			out.push(line);
	}
	return `${out.join('\r\n')}\r\n`;
}

async function refusal(response) {
	const said = (await response.text().catch(() => '')).trim();
	const remedies = {
		400: 'Reload the page; if it stays, the browser and the server do not agree about SDP.',
		401: 'Paste a token into the field above; one is made by: turnpikectl token new.',
		403: 'Ask for a token with this room and this right, or take the room it was made for.',
		404: 'Names of rooms have letters, digits, "_", "." and "-" only.',
		406: 'Choose another codec.',
		409: 'Wait until somebody publishes, or choose another name to publish under.',
		422: 'Choose another codec, or another publisher.',
		503: 'Try again later, or on another host.',
	};
	return new CallError(said || `the server said ${response.status}`,
		remedies[response.status] ?? 'Try again; the log of the server says more.', response.status);
}

// Events: "state" (detail: joining, waiting, connecting, connected, repairing, closed), "track" (detail: the RTCTrackEvent)
// and "error" (detail: CallError; the call is over).
export class Call extends EventTarget {
	#endpoint;
	#token;
	#prepare;
	#policy;
	#waits;
	#resource;
	#etag;
	#candidates = [];
	#isGathered = false;
	#isPatching = false;
	#isWanted = false;
	#isRepairing = false;
	#pageHides = () => this.#delete();

	// prepare(pc): adds transceivers; called again for each new connection. waits: retry while there is no publisher.
	constructor({ endpoint, token, prepare, policy = 'all', waits = false }) {
		super();
		this.#endpoint = new URL(endpoint, location.href).href;
		this.#token = token;
		this.#prepare = prepare;
		this.#policy = policy;
		this.#waits = waits;
		this.state = 'closed';
	}

	// The last part of the session's URL; undefined without one.
	get session() {
		return this.#resource?.split('/').pop();
	}

	#is(state, text = '') {
		this.state = state;
		this.dispatchEvent(new CustomEvent('state', { detail: { state, text } }));
	}

	#fails(error) {
		const known = error instanceof CallError ? error
			: new CallError(String(error.message ?? error), 'Reload the page and try again.');
		this.#isWanted = false;
		this.#close();
		this.#is('closed');
		this.dispatchEvent(new CustomEvent('error', { detail: known }));
	}

	async #fetch(url, options) {
		const headers = { ...options.headers };
		if (this.#token)
			headers.Authorization = `Bearer ${this.#token}`;
		try {
			return await fetch(url, {
				...options, headers, cache: 'no-store',
				signal: options.keepalive ? undefined : AbortSignal.timeout(SIGNALING_TIMEOUT_MS),
			});
		} catch {
			throw new CallError('The server cannot be reached.',
				'Check that it runs, and that this browser trusts its certificate.', -1);
		}
	}

	async start() {
		this.#isWanted = true;
		addEventListener('pagehide', this.#pageHides);
		try {
			await this.#join();
		} catch (error) {
			if (this.#isWanted)
				this.#fails(error);
		}
	}

	// Ends the call here and there.
	async stop() {
		this.#isWanted = false;
		removeEventListener('pagehide', this.#pageHides);
		await this.#delete();
		this.#close();
		this.#is('closed');
	}

	#close() {
		this.pc?.close();
		this.pc = undefined;
	}

	async #delete() {
		const resource = this.#resource;
		this.#resource = undefined;
		// keepalive: also while the page goes away.
		if (resource)
			await this.#fetch(resource, { method: 'DELETE', keepalive: true }).catch(() => {});
	}

	async #iceServers() {
		const response = await this.#fetch(this.#endpoint, { method: 'OPTIONS' });
		return response.ok ? iceServersOf(response.headers.get('Link')) : [];
	}

	async #join() {
		this.#is('joining');
		this.#close();
		const iceServers = await this.#iceServers();
		if (this.#policy === 'relay' && iceServers.length === 0)
			throw new CallError('This host names no TURN server, and nothing but one was asked for.',
				'Choose any path, or have http: turn_urls added to its configuration.', 400);
		const pc = new RTCPeerConnection({ iceServers, bundlePolicy: 'max-bundle', iceTransportPolicy: this.#policy });
		this.pc = pc;
		this.#candidates = [];
		this.#isGathered = false;
		this.#etag = undefined;
		pc.onicecandidate = ({ candidate }) => {
			if (pc !== this.pc)
				return;
			if (candidate?.candidate)
				this.#candidates.push(candidate);
			else if (!candidate)
				this.#isGathered = true;
			this.#trickle();
		};
		pc.ontrack = (event) => {
			if (pc === this.pc)
				this.dispatchEvent(new CustomEvent('track', { detail: event }));
		};
		pc.onconnectionstatechange = () => this.#changed(pc);
		this.#prepare(pc);
		await pc.setLocalDescription();
		const response = await this.#post(pc);
		if (!response)
			return;
		this.#resource = new URL(response.headers.get('Location'), response.url).href;
		this.#etag = response.headers.get('ETag');
		const answer = await response.text();
		if (!this.#isWanted || pc !== this.pc) {
			await this.#delete();
			return;
		}
		this.#is('connecting');
		await pc.setRemoteDescription({ type: 'answer', sdp: answer });
		this.#trickle();
	}

	// Posts the offer until it is taken; undefined if nobody wants that any longer.
	async #post(pc) {
		while (this.#isWanted && pc === this.pc) {
			const response = await this.#fetch(this.#endpoint, {
				method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp,
			});
			if (response.status === 201)
				return response;
			const error = await refusal(response);
			const seconds = Number(response.headers.get('Retry-After'));
			if (!(this.#waits && seconds > 0 && [409, 503].includes(response.status)))
				throw error;
			this.#is('waiting', error.message);
			await wait(Math.min(seconds, 5) * 1000);
		}
		return undefined;
	}

	// Sends the candidates so far, one PATCH at a time. An ICE-lite server learns them from our checks too, so a refusal
	// costs nothing.
	async #trickle() {
		const pc = this.pc;
		if (this.#isPatching || !this.#resource || !this.#etag || this.#isRepairing)
			return;
		if (this.#candidates.length === 0 && !this.#isGathered)
			return;
		const candidates = this.#candidates.splice(0);
		const isEnd = this.#isGathered;
		this.#isGathered = false;
		this.#isPatching = true;
		await this.#fetch(this.#resource, {
			method: 'PATCH', headers: { 'Content-Type': FRAGMENT, 'If-Match': this.#etag },
			body: fragmentOf(pc.localDescription.sdp, candidates, isEnd),
		}).catch(() => {});
		this.#isPatching = false;
		if (pc === this.pc && (this.#candidates.length > 0 || this.#isGathered))
			this.#trickle();
	}

	async #changed(pc) {
		if (pc !== this.pc || !this.#isWanted)
			return;
		if (pc.connectionState === 'connected') {
			this.#is('connected');
		} else if (pc.connectionState === 'failed') {
			this.#repair(pc);
		} else if (pc.connectionState === 'disconnected') {
			await wait(DISCONNECTED_PATIENCE_MS);
			if (pc === this.pc && pc.connectionState === 'disconnected')
				this.#repair(pc);
		}
	}

	// First a restart of ICE in the same session; if the session is gone, a new one, for as long as it takes.
	async #repair(pc) {
		if (this.#isRepairing)
			return;
		this.#isRepairing = true;
		this.#is('repairing');
		try {
			await this.#restart(pc);
			this.#isRepairing = false;
			this.#trickle();
		} catch {
			await this.#rejoin();
			this.#isRepairing = false;
			this.#trickle();
		}
	}

	// RFC 9725 §4.3.3. The answer to the new offer is the old one with the fragment's credentials.
	async #restart(pc) {
		const answer = pc.remoteDescription.sdp;
		this.#candidates = [];
		this.#isGathered = false;
		await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
		const response = await this.#fetch(this.#resource, {
			method: 'PATCH', headers: { 'Content-Type': FRAGMENT, 'If-Match': '*' },
			body: fragmentOf(pc.localDescription.sdp, [], false),
		});
		if (response.status !== 200)
			throw await refusal(response);
		this.#etag = response.headers.get('ETag');
		await pc.setRemoteDescription({ type: 'answer', sdp: answerAfterRestart(answer, await response.text()) });
	}

	async #rejoin() {
		this.#resource = undefined;
		for (let ms = 500; this.#isWanted; ms = Math.min(2 * ms, REJOIN_LONGEST_MS)) {
			try {
				await this.#join();
				return;
			} catch (error) {
				// What waiting does not mend: no right, no such room.
				if (error.status >= 400 && error.status < 500 && error.status !== 409) {
					this.#fails(error);
					return;
				}
				this.#is('repairing', error.message);
				await wait(ms);
			}
		}
	}
}

// The codecs of a kind that this browser knows, with what accompanies them.
export function codecPreferences(capabilities, name) {
	const is = (codec, what) => codec.mimeType.toLowerCase() === what.toLowerCase();
	const chosen = capabilities.codecs.filter((codec) => is(codec, `video/${name}`));
	if (chosen.length === 0)
		throw new CallError(`This browser has no ${name}.`, 'Choose another codec.');
	return [...chosen, ...capabilities.codecs.filter((codec) => is(codec, 'video/rtx'))];
}
