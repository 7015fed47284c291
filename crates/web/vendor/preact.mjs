// What the page uses of other people's code.
import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);
export { h, render, Fragment } from "preact";
export { useEffect, useLayoutEffect, useMemo, useRef, useState, useCallback } from "preact/hooks";
export { signal, computed, effect, batch, useSignal, useComputed, untracked } from "@preact/signals";
