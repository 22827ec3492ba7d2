// The page of the chat. Messages come as a stream over a WebSocket and are posted by fetch.

const API = new URL("/api/", location.href);
const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 15_000;
const STABLE_MS = 10_000; // a connection that has held for so long was a good one
const PING_AFTER_MS = 20_000; // of silence
const ANSWER_WITHIN_MS = 10_000;
const SHOWN_MAX = 500;
const FROM_THE_BEGINNING = "0"; // of what the server keeps

/** Follows a room, and when its socket is lost goes on behind the last message it has seen. */
class RoomFollower {
  #room;
  #on;
  #cursor = FROM_THE_BEGINNING;
  #socket = null;
  #failures = 0;
  #joinedAt = 0;
  #retryTimer = 0;
  #silenceTimer = 0;

  /**
   * @param {string} room
   * @param {{message: function(object), state: function(string), refused: function(string)}} on
   *     what to call: for each message in their order, for each change of the connection, and when
   *     the server will not have it.
   */
  constructor(room, on) {
    this.#room = room;
    this.#on = on;
  }

  /** Connect now, unless there is a connection or one is being made. */
  connect() {
    if (this.#socket !== null) return;
    clearTimeout(this.#retryTimer);
    const url = new URL("websocket", API);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(url));
    socket.onopen = () => {
      const parameters = { room: this.#room, since: this.#cursor };
      socket.send(JSON.stringify({ id: "stream", method: "room", parameters }));
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(JSON.parse(data));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.drop();
    };
    this.#wait(ANSWER_WITHIN_MS, () => this.drop());
  }

  /** Give the connection up and try again later. A dead one would close by itself in minutes. */
  drop() {
    this.#disconnect();
    if (this.#joinedAt && Date.now() - this.#joinedAt > STABLE_MS) this.#failures = 0;
    this.#joinedAt = 0;
    const longest = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    // Not all at once: whatever this one has lost, hundreds of others have lost too.
    const delay = longest * (0.5 + Math.random() / 2);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.connect(), delay);
    this.#on.state("reconnecting");
  }

  #disconnect() {
    clearTimeout(this.#silenceTimer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #receive(message) {
    this.#wait(PING_AFTER_MS, () => this.#ping());
    if (message.id !== "stream") return; // the answer to a ping
    if ("item" in message) {
      this.#take(message.item, message.key);
    } else if ("error" in message && !isPassing(message.error)) {
      this.#disconnect();
      this.#on.refused(message.error.value);
    } else {
      this.drop(); // the gateway stops, or this page was too slow
    }
  }

  #take(item, key) {
    if ("joined" in item) {
      this.#joinedAt = Date.now();
      this.#on.state("connected");
    } else {
      this.#on.message(item);
    }
    this.#cursor = key || this.#cursor;
  }

  #ping() {
    this.#socket.send(JSON.stringify({ id: "ping", method: "ping" }));
    this.#wait(ANSWER_WITHIN_MS, () => this.drop());
  }

  #wait(milliseconds, then) {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(then, milliseconds);
  }
}

/** Errors of the system pass; those that say what is wrong with a call come again. */
function isPassing({ code }) {
  return code === 1000 || (code >= 1103 && code < 1200);
}

/** The messages on the page, each of them once. */
class MessageList {
  #log = document.getElementById("log");
  #list = document.getElementById("messages");
  #template = document.getElementById("message-template");
  #seen = new Set();
  #ownName;
  #isAtEnd = true; // who has scrolled back to read is left where he is

  constructor(ownName) {
    this.#ownName = ownName;
    const log = this.#log;
    log.addEventListener("scroll", () => {
      this.#isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
    });
    new ResizeObserver(() => this.#stayAtEnd()).observe(log);
  }

  show(message) {
    if (message.has_gap) {
      this.#note(
        this.#seen.size
          ? "Some messages were lost while the connection was down."
          : "Older messages are not kept any more.",
      );
    }
    if (this.#seen.has(message.id)) return;
    this.#seen.add(message.id);
    const entry = this.#template.content.firstElementChild.cloneNode(true);
    const time = new Date(message.time * 1000);
    entry.classList.toggle("own", message.name === this.#ownName);
    entry.style.setProperty("--hue", hueOf(message.name));
    entry.querySelector(".name").textContent = message.name;
    entry.querySelector("time").textContent = timeText(time);
    entry.querySelector("time").dateTime = time.toISOString();
    entry.querySelector(".text").textContent = message.text;
    this.#append(entry);
  }

  #note(text) {
    const entry = document.createElement("li");
    entry.className = "note";
    entry.textContent = text;
    this.#append(entry);
  }

  #append(entry) {
    this.#list.append(entry);
    while (this.#list.childElementCount > SHOWN_MAX) this.#list.firstElementChild.remove();
    this.#stayAtEnd();
  }

  #stayAtEnd() {
    if (this.#isAtEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }
}

function hueOf(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 360;
  return String(hash);
}

function timeText(time) {
  const isToday = time.toDateString() === new Date().toDateString();
  return time.toLocaleString([], { timeStyle: "short", dateStyle: isToday ? undefined : "short" });
}

/** Post a message; throws with a text for the user. */
async function post(message) {
  let answer;
  try {
    const response = await fetch(new URL("post_message", API), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ parameters: message }),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    answer = await response.json();
  } catch {
    throw new Error("the server cannot be reached.");
  }
  if (answer.error) throw new Error(answer.error.value);
}

/** An id of 128 random bits; crypto.randomUUID() is for pages over TLS. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function startPosting(room, name) {
  const form = document.getElementById("post-form");
  const field = document.getElementById("text");
  const problem = document.getElementById("problem");
  const button = form.querySelector("button");
  let unsure = null; // a message that may have arrived: sent again, it keeps its id

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text || button.disabled) return;
    const message = unsure?.text === text ? unsure : { id: randomId(), room, name, text };
    unsure = message;
    button.disabled = true;
    try {
      await post(message);
      unsure = null;
      problem.hidden = true;
      if (field.value.trim() === text) field.value = "";
    } catch (error) {
      problem.textContent = `Not sent: ${error.message}`;
      problem.hidden = false;
    } finally {
      button.disabled = false;
      field.focus();
    }
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

const STATES = {
  connecting: "Connecting",
  connected: "Connected",
  reconnecting: "Connection lost, reconnecting",
};

function showState(state, text = STATES[state]) {
  const status = document.getElementById("status");
  status.dataset.state = state;
  status.textContent = text;
}

function enter(room, name) {
  document.title = `${room} - Chat`;
  document.getElementById("title").textContent = room;
  document.getElementById("leave").search = new URLSearchParams({ room });
  document.getElementById("chat").hidden = false;
  const list = new MessageList(name);
  const follower = new RoomFollower(room, {
    message: (message) => list.show(message),
    state: showState,
    refused: (reason) => showState("refused", reason),
  });
  showState("connecting");
  follower.connect();
  // A browser knows sooner than a timer that there is no network, or that there is one again.
  addEventListener("offline", () => follower.drop());
  addEventListener("online", () => follower.connect());
  startPosting(room, name);
  document.getElementById("text").focus();
}

function ask(room, name) {
  document.getElementById("join").hidden = false;
  if (room) document.getElementById("room").value = room;
  document.getElementById("name").value = name;
  document.getElementById("name").focus();
}

const address = new URLSearchParams(location.search);
const room = (address.get("room") ?? "").trim();
const name = (address.get("name") ?? "").trim();
if (room && name) enter(room, name);
else ask(room, name);
