const { z } = require("zod");
const z3 = require("zod/v3");
const { zodToJsonSchema } = require("zod-to-json-schema");
function models(z, four) {
  const email = four ? z.email() : z.string().email();
  const url = four ? z.url() : z.string().url();
  const uuid = four ? z.uuid() : z.string().uuid();
  const when = four ? z.iso.datetime() : z.string().datetime();
  const day = four ? z.iso.date() : z.string().date();
  const Address = z.object({ street: z.string().min(1), zip: z.string().regex(/^\d{5}$/), country: z.enum(["DE", "FR"]).default("DE") });
  const Line = z.object({ sku: z.string(), amount: z.number().multipleOf(0.01).nonnegative(), n: z.number().int().positive().optional() });
  const Order = z.object({ id: uuid, mail: email.nullable(), site: url.optional(), paid: when, due: day, ship: Address, bill: Address.optional(), lines: z.array(Line).min(1).max(3), note: z.string().nullish() }).strict();
  const Pay = z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("card"), last4: z.string().length(4) }),
    z.object({ kind: z.literal("iban"), iban: z.string().startsWith("DE") }),
    z.object({ kind: z.literal("none") })]);
  const Paid = z.object({ pay: Pay, tags: z.record(z.string(), z.number()), at: z.tuple([z.number(), z.number()]) });
  let Node;
  if (four) Node = z.object({ name: z.string(), get children() { return z.array(Node); } });
  else { Node = z.object({ name: z.string(), children: z.lazy(() => z.array(Node)) }); }
  const List = z.array(z.object({ label: z.enum(["a", "b"]), score: z.number().min(0).max(1) }));
  const Choice = z.union([z.string(), z.object({ text: z.string() }), z.null()]);
  return { Order, Paid, Node, List, Choice };
}
const U = "2eb8aa08-aa98-41ea-b4aa-73b441d16380";
const a = { street: "Weg 1", zip: "10115", country: "FR" };
const order = { id: U, mail: null, paid: "2026-02-28T08:30:00Z", due: "2026-03-01", ship: a, lines: [{ sku: "x", amount: 19.99 }] };
const values = {
  Order: [order, { ...order, mail: "a@example.org", site: "https://example.org/a", bill: a, note: null, lines: [{ sku: "x", amount: 4.02, n: 2 }] },
    { ...order, id: "2eb8aa08" }, { ...order, paid: "2026-02-30T08:30:00Z" }, { ...order, due: "2023-02-29" }, { ...order, mail: "a.example.org" },
    { ...order, lines: [] }, { ...order, lines: [{ sku: "x", amount: 1.005 }] }, { ...order, ship: { ...a, zip: "1011" } }, { ...order, extra: 1 }, { ...order, lines: [{ sku: "x", amount: 1, n: 1.5 }] }, { ...order, note: 3 }, { ...order, site: "example" }],
  Paid: [{ pay: { kind: "card", last4: "1234" }, tags: { x: 1 }, at: [1, 2] }, { pay: { kind: "none" }, tags: {}, at: [1, 2] }, { pay: { kind: "card", last4: "12" }, tags: {}, at: [1, 2] },
    { pay: { kind: "cash" }, tags: {}, at: [1, 2] }, { pay: { kind: "iban", iban: "DE1" }, tags: { x: "1" }, at: [1, 2] }, { pay: { kind: "iban", iban: "DE1" }, tags: {}, at: ["1", 2] }, { pay: { kind: "iban", iban: "FR1" }, tags: {}, at: [1, 2] }],
  Node: [{ name: "a", children: [] }, { name: "a", children: [{ name: "b", children: [{ name: "c", children: [] }] }] }, { name: "a", children: [{ name: "b", children: [{ name: 3, children: [] }] }] }, { name: "a" }],
  List: [[], [{ label: "a", score: 0.5 }], [{ label: "c", score: 0.5 }], [{ label: "a", score: 1.5 }], {}],
  Choice: ["x", { text: "x" }, null, 3, { txt: "x" }],
};
const out = [];
for (const [maker, four] of [["zod 4", true], ["zod-to-json-schema", false]]) {
  const zz = four ? z : z3.z; const ms = models(zz, four);
  for (const [name, m] of Object.entries(ms)) {
    const ways = four
      ? { "draft-2020-12": () => z.toJSONSchema(m, { io: "input" }), "draft-7": () => z.toJSONSchema(m, { io: "input", target: "draft-7" }), "reused": () => z.toJSONSchema(m, { io: "input", reused: "ref" }), "openapi-3.0": () => z.toJSONSchema(m, { io: "input", target: "openapi-3.0" }) }
      : { "draft-7": () => zodToJsonSchema(m), "named": () => zodToJsonSchema(m, name), "openApi3": () => zodToJsonSchema(m, { target: "openApi3" }), "openAi": () => zodToJsonSchema(m, { target: "openAi" }) };
    for (const [way, f] of Object.entries(ways)) {
      let schema; try { schema = f(); } catch (e) { console.error(maker, name, way, e.message); continue; }
      out.push({ maker, model: name, way, schema, right: values[name].filter(v => m.safeParse(v).success), wrong: values[name].filter(v => !m.safeParse(v).success) });
    }
  }
}
for (const o of out) console.log(JSON.stringify({ maker: o.maker, model: o.model, way: o.way, schema: o.schema }));
