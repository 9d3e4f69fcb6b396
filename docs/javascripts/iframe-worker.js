// Browsers refuse to start workers for pages that are opened from the file system, and the search runs in one.
// There, a hidden frame takes the worker's place: the same script, the same messages.

(() => {
  if (location.protocol !== "file:") {
    return;
  }

  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = null;
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      (document.body ?? document.documentElement).appendChild(this.frame);
      const inside = this.frame.contentWindow;
      inside.document.open();
      inside.document.write("<!doctype html><html><body></body></html>");
      inside.document.close();
      inside.postMessage = (data) => this.receive(data);
      inside.importScripts = (...urls) =>
        Promise.all(urls.map((each) => FrameWorker.load(inside.document, each)));
      this.ready = FrameWorker.load(inside.document, url);
    }

    static load(page, url) {
      return new Promise((resolve, reject) => {
        const script = page.createElement("script");
        script.src = String(url);
        script.onload = resolve;
        script.onerror = reject;
        page.body.appendChild(script);
      });
    }

    receive(data) {
      const event = new MessageEvent("message", { data });
      setTimeout(() => {
        this.dispatchEvent(event);
        this.onmessage?.(event);
      });
    }

    postMessage(data) {
      this.ready.then(() => {
        const inside = this.frame.contentWindow;
        inside.dispatchEvent(new inside.MessageEvent("message", { data }));
      });
    }

    terminate() {
      this.frame.remove();
    }
  }

  window.Worker = FrameWorker;
})();
