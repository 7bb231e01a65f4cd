// One program for each way Node.js leaks, and healthy ones; about 0.2 MiB a second.
const { EventEmitter } = require('events');
class Session { constructor(i) { this.user = 'user-' + i; this.tags = new Array(100).fill(i); } }
class Poller { constructor(i) { this.id = i; this.seen = new Array(100).fill(i); } }
const cache = (global.sessionCache = new Map());
const bus = new EventEmitter(); bus.setMaxListeners(0);
const callbacks = (global.pendingCallbacks = []);
let i = 0;
const steps = {
  map() { cache.set('k' + i, new Session(i)); },
  listener() { const seen = new Array(100).fill(i); bus.on('price', function onPrice() { return seen.length; }); },
  closure() { const request = new Session(i); callbacks.push(() => request.user); },
  timer() { const poller = new Poller(i); setInterval(() => poller.seen.length, 3600e3); },
  garbage() { for (let n = 0; n < 20; n++) new Session(n).user.length; },
  bounded() { cache.set('k' + (i % 500), new Session(i)); },
  once() { bus.once('price', () => i); bus.emit('price'); },
};
const step = steps[process.argv[2]];
console.log('ready');
setInterval(() => { for (let n = 0; n < 5; n++, i++) step(); }, 20);
