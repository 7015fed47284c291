// The types of page/vendor/preact.js, as far as the page uses it.

export interface Signal<T> {
  value: T;
}
export function signal<T>(value: T): Signal<T>;
export function computed<T>(compute: () => T): { readonly value: T };
export function effect(run: () => void): () => void;
export function batch<T>(run: () => T): T;
export function untracked<T>(run: () => T): T;
export function html(parts: TemplateStringsArray, ...values: unknown[]): unknown;
export function h(kind: unknown, props: unknown, ...children: unknown[]): unknown;
export function render(node: unknown, parent: Element): void;
export function useState<T>(value: T): [T, (value: T) => void];
export function useRef<T>(value: T): { current: T };
export function useMemo<T>(compute: () => T, inputs: unknown[]): T;
export function useCallback<T>(callback: T, inputs: unknown[]): T;
export function useEffect(run: () => undefined | void | (() => void), inputs?: unknown[]): void;
export function useLayoutEffect(run: () => undefined | void | (() => void), inputs?: unknown[]): void;
