// What the pages share: the settings in the URL, the line that says how it stands, errors with their remedy.

export const $ = (id) => document.getElementById(id);

// Settings stand in the query, so that a link leads back to them; the token stands in the fragment, which no server sees.
const query = new URLSearchParams(location.search);
const fragment = new URLSearchParams(location.hash.slice(1));
if (query.has('access_token')) {
	fragment.set('access_token', query.get('access_token'));
	query.delete('access_token');
}

export const setting = (name, fallback = '') => query.get(name) ?? fallback;
export const token = () => $('token')?.value.trim() ?? fragment.get('access_token') ?? '';

function remember() {
	const hash = fragment.size > 0 ? `#${fragment}` : '';
	const search = query.size > 0 ? `?${query}` : '';
	history.replaceState(null, '', location.pathname + search + hash);
	for (const link of document.querySelectorAll('a[data-carries]')) {
		const room = query.get('room');
		link.href = link.dataset.carries + (room ? `?room=${encodeURIComponent(room)}` : '') + hash;
	}
}

// Fields with these ids show the settings, and change them.
export function bindSettings(names) {
	for (const name of names) {
		const field = $(name);
		if (name === 'token')
			field.value = fragment.get('access_token') ?? '';
		else if (query.has(name))
			field.value = query.get(name);
		field.addEventListener('change', () => {
			const target = name === 'token' ? fragment : query;
			const key = name === 'token' ? 'access_token' : name;
			if (field.value.trim() === '')
				target.delete(key);
			else
				target.set(key, field.value.trim());
			remember();
		});
	}
	remember();
}

const sentences = {
	closed: 'Not connected.',
	joining: 'Joining …',
	waiting: 'Waiting for a publisher …',
	connecting: 'Connecting …',
	connected: 'Connected.',
	repairing: 'The connection broke; repairing it …',
};

export function showState({ state, text }) {
	const line = $('state');
	line.dataset.state = state;
	line.textContent = state === 'waiting' && text ? `Waiting: ${text}` : sentences[state];
}

export function showError(error) {
	const box = $('error');
	box.hidden = !error;
	box.replaceChildren();
	if (!error)
		return;
	const what = document.createElement('strong');
	what.textContent = error.message.replace(/\.?$/, '. ');
	what.textContent = what.textContent[0].toUpperCase() + what.textContent.slice(1);
	box.append(what, error.remedy ?? 'Reload the page and try again.');
}

export function check(name, what) {
	if (/^[A-Za-z0-9_.-]{1,63}$/.test(name))
		return name;
	const error = new Error(name === '' ? `The ${what} has no name` : `"${name}" is no name for a ${what}`);
	error.remedy = 'Use 1 to 63 letters, digits, "_", "." and "-".';
	throw error;
}

export function follow(call) {
	call.addEventListener('state', ({ detail }) => showState(detail));
	call.addEventListener('error', ({ detail }) => showError(detail));
}
