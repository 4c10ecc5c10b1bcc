// The page that leads to the others.
import { bindSettings } from './page.js';

bindSettings(['room', 'token']);
