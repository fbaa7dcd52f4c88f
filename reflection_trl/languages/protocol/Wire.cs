// Values and calls between two .NET processes: the tests, and the answer that they call. Values of the framework's own types are
// copied. An object of the answer's own class stays where it is, and a delegate too: what crosses is a number, and the other side
// has a stand-in whose calls travel back.
namespace ReflectionTrl
{
    using System;
    using System.Collections;
    using System.Collections.Generic;
    using System.IO;
    using System.Linq;
    using System.Linq.Expressions;
    using System.Numerics;
    using System.Reflection;
    using System.Runtime.InteropServices;
    using System.Threading.Tasks;

    public class Gone : Exception { }

    // A descriptor that this process was started with: Mono opens no others than its own
    class Pipe : Stream
    {
        [DllImport("libc")] static extern IntPtr read(int descriptor, IntPtr bytes, IntPtr count);
        [DllImport("libc")] static extern IntPtr write(int descriptor, IntPtr bytes, IntPtr count);

        readonly int descriptor;

        public Pipe(int descriptor) { this.descriptor = descriptor; }

        int Move(byte[] bytes, int offset, int count, Func<int, IntPtr, IntPtr, IntPtr> how)
        {
            var pinned = GCHandle.Alloc(bytes, GCHandleType.Pinned);
            try { return (int)how(descriptor, pinned.AddrOfPinnedObject() + offset, (IntPtr)count); }
            finally { pinned.Free(); }
        }

        public override int Read(byte[] bytes, int offset, int count) { return Math.Max(0, Move(bytes, offset, count, read)); }

        public override void Write(byte[] bytes, int offset, int count)
        {
            while (count > 0)
            {
                var done = Move(bytes, offset, count, write);
                if (done <= 0) throw new IOException();
                offset += done;
                count -= done;
            }
        }

        public override void Flush() { }
        public override bool CanRead { get { return true; } }
        public override bool CanWrite { get { return true; } }
        public override bool CanSeek { get { return false; } }
        public override long Length { get { throw new NotSupportedException(); } }
        public override long Position { get { throw new NotSupportedException(); } set { throw new NotSupportedException(); } }
        public override long Seek(long offset, SeekOrigin origin) { throw new NotSupportedException(); }
        public override void SetLength(long value) { throw new NotSupportedException(); }
    }

    public abstract class Wire
    {
        static readonly Type[] Simple = {
            typeof(object), typeof(bool), typeof(byte), typeof(sbyte), typeof(short), typeof(ushort), typeof(int), typeof(uint), typeof(long),
            typeof(ulong), typeof(float), typeof(double), typeof(decimal), typeof(char), typeof(string), typeof(BigInteger), typeof(DateTime) };
        static readonly Type[] Generic = {
            typeof(List<>), typeof(Dictionary<,>), typeof(HashSet<>), typeof(Queue<>), typeof(Stack<>), typeof(LinkedList<>), typeof(SortedSet<>),
            typeof(SortedDictionary<,>), typeof(KeyValuePair<,>), typeof(Nullable<>), typeof(Tuple<>), typeof(Tuple<,>), typeof(Tuple<,,>),
            typeof(Tuple<,,,>), typeof(Tuple<,,,,>), typeof(Tuple<,,,,,>), typeof(ValueTuple<,>), typeof(ValueTuple<,,>), typeof(ValueTuple<,,,>),
            typeof(IEnumerable<>), typeof(IList<>), typeof(ICollection<>), typeof(IDictionary<,>) };
        const int Sequences = 8;
        const byte Array_ = 200, Own = 201, Function = 202, TypeItself = 203, Finished = 204;

        readonly BinaryReader reader = new BinaryReader(new BufferedStream(new Pipe(3)));
        readonly BinaryWriter writer = new BinaryWriter(new Pipe(4));
        readonly List<Delegate> lent = new List<Delegate>();

        // What the two sides differ in: the classes of the answer, or stand-ins for them

        protected abstract bool IsOwn(Type type);
        protected abstract string NameOf(Type type);
        protected abstract Type Named(string name);
        protected abstract int NumberOf(object value);
        protected abstract object ObjectOf(int number, Type type);

        // Asks the other side to run a function of its own
        protected abstract object Invoke(int number, object[] arguments);

        public object InvokeLent(int number, object[] arguments)
        {
            if (number < 0 || number >= lent.Count) throw new Gone();
            return lent[number].DynamicInvoke(arguments);
        }

        public void Send(params object[] values)
        {
            try
            {
                var memory = new MemoryStream();
                var into = new BinaryWriter(memory);
                into.Write(values.Length);
                foreach (var value in values) Put(into, value);
                into.Flush();
                writer.Write(memory.GetBuffer(), 0, (int)memory.Length);
                writer.Flush();
            }
            catch (IOException) { throw new Gone(); }
        }

        public object[] Receive()
        {
            try
            {
                var values = new object[Size()];
                for (var place = 0; place < values.Length; place++) values[place] = Get();
                return values;
            }
            catch (Exception error) when (!(error is Gone)) { throw new Gone(); }
        }

        int Size()
        {
            var size = reader.ReadInt32();
            if (size < 0 || size > 1 << 27) throw new Gone();
            return size;
        }

        Type Known(object value)
        {
            var type = value.GetType();
            if (Crosses(type)) return type;
            for (var one = type.BaseType; one != null; one = one.BaseType)
                if (IsOwn(one)) return one;
            foreach (var one in type.GetInterfaces())
                if (one.IsGenericType && one.GetGenericTypeDefinition() == typeof(IEnumerable<>) && Crosses(one.GetGenericArguments()[0]))
                    return typeof(List<>).MakeGenericType(one.GetGenericArguments());
            throw new InvalidOperationException("An object of the class " + type.Name + " cannot be compared by the tests.");
        }

        bool Crosses(Type type)
        {
            if (type.IsArray) return type.GetArrayRank() == 1 && Crosses(type.GetElementType());
            if (IsOwn(type)) return !type.IsGenericType || type.GetGenericArguments().All(Crosses);
            if (type.IsGenericType) return Generic.Contains(type.GetGenericTypeDefinition()) && type.GetGenericArguments().All(Crosses);
            return Simple.Contains(type);
        }

        void PutType(BinaryWriter into, Type type)
        {
            if (type.IsArray) { into.Write(Array_); PutType(into, type.GetElementType()); }
            else if (IsOwn(type))
            {
                into.Write(Own);
                into.Write(NameOf(type));
                var arguments = type.IsGenericType ? type.GetGenericArguments() : Type.EmptyTypes;
                into.Write((byte)arguments.Length);
                foreach (var argument in arguments) PutType(into, argument);
            }
            else if (type.IsGenericType)
            {
                into.Write((byte)(100 + Array.IndexOf(Generic, type.GetGenericTypeDefinition())));
                foreach (var argument in type.GetGenericArguments()) PutType(into, argument);
            }
            else into.Write((byte)Array.IndexOf(Simple, type));
        }

        Type GetType(int depth = 0)
        {
            return GetType(reader.ReadByte(), depth);
        }

        Type GetType(byte code, int depth)
        {
            if (depth > 30) throw new Gone();
            if (code == Array_) return GetType(depth + 1).MakeArrayType();
            if (code == Own)
            {
                var own = Named(reader.ReadString());
                var count = reader.ReadByte();
                if (own == null || count != (own.IsGenericTypeDefinition ? own.GetGenericArguments().Length : 0)) throw new Gone();
                return count == 0 ? own : own.MakeGenericType(own.GetGenericArguments().Select(_ => GetType(depth + 1)).ToArray());
            }
            if (code < 100) return Simple[code];
            var type = Generic[code - 100];
            return type.MakeGenericType(type.GetGenericArguments().Select(_ => GetType(depth + 1)).ToArray());
        }

        void Put(BinaryWriter into, object value)
        {
            into.Write(value != null);
            if (value == null) return;
            if (value is Delegate)
            {
                into.Write(Function);
                into.Write(lent.Count);
                lent.Add((Delegate)value);
                return;
            }
            if (value is Type)
            {
                into.Write(TypeItself);
                PutType(into, (Type)value);
                return;
            }
            if (value is Task)
            {
                var (of, gives) = ResultOf((Task)value);
                into.Write(Finished);
                PutType(into, of);
                Put(into, gives);
                return;
            }
            var type = Known(value);
            PutType(into, type);
            if (type == typeof(object)) return;
            if (IsOwn(type))
            {
                into.Write(type.IsEnum ? Convert.ToInt32(value) : NumberOf(value));
                return;
            }
            if (Simple.Contains(type))
            {
                if (type == typeof(BigInteger)) into.Write(value.ToString());
                else if (type == typeof(DateTime)) into.Write(((DateTime)value).ToBinary());
                else if (type == typeof(string)) { var text = ((string)value).ToCharArray(); into.Write(text.Length); foreach (var one in text) into.Write((ushort)one); }
                else if (type == typeof(char)) into.Write((ushort)(char)value);
                else typeof(BinaryWriter).GetMethod("Write", new[] { type }).Invoke(into, new[] { value });
                return;
            }
            var items = Items(value, type);
            into.Write(items.Count);
            foreach (var item in items) Put(into, item);
        }

        // Waits for a task; throws what it throws. One without a result gives a number that nobody reads
        static (Type, object) ResultOf(Task task)
        {
            task.GetAwaiter().GetResult();
            var type = task.GetType();
            while (type != null && !(type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Task<>))) type = type.BaseType;
            if (type == null || type.GetGenericArguments()[0].Name == "VoidTaskResult") return (typeof(int), 0);
            return (type.GetGenericArguments()[0], type.GetProperty("Result").GetValue(task));
        }

        static List<object> Items(object value, Type type)
        {
            if (type.IsArray || Array.IndexOf(Generic, type.GetGenericTypeDefinition()) < Sequences) return ((IEnumerable)value).Cast<object>().ToList();
            var definition = type.GetGenericTypeDefinition();
            if (definition == typeof(KeyValuePair<,>)) return new List<object> { type.GetProperty("Key").GetValue(value), type.GetProperty("Value").GetValue(value) };
            var count = type.GetGenericArguments().Length;
            return Enumerable.Range(1, count).Select(place => type.IsValueType
                ? type.GetField("Item" + place).GetValue(value) : type.GetProperty("Item" + place).GetValue(value)).ToList();
        }

        object Get()
        {
            if (!reader.ReadBoolean()) return null;
            var code = reader.ReadByte();
            if (code == Function) return new Callback { Number = reader.ReadInt32(), Wire = this };
            if (code == TypeItself) return GetType();
            if (code == Finished)
            {
                var of = GetType();
                return typeof(Task).GetMethod("FromResult").MakeGenericMethod(of).Invoke(null, new[] { Get() });
            }
            var type = GetType(code, 0);
            if (type == typeof(object)) return new object();
            if (IsOwn(type)) return type.IsEnum ? Enum.ToObject(type, reader.ReadInt32()) : ObjectOf(reader.ReadInt32(), type);
            if (type == typeof(BigInteger)) return BigInteger.Parse(reader.ReadString());
            if (type == typeof(DateTime)) return DateTime.FromBinary(reader.ReadInt64());
            if (type == typeof(string)) return new string(Enumerable.Range(0, Size()).Select(_ => (char)reader.ReadUInt16()).ToArray());
            if (type == typeof(char)) return (char)reader.ReadUInt16();
            if (Simple.Contains(type)) return typeof(BinaryReader).GetMethod("Read" + type.Name).Invoke(reader, null);
            var items = new List<object>();
            for (var left = Size(); left > 0; left--) items.Add(Get());
            if (type.IsArray)
            {
                var array = Array.CreateInstance(type.GetElementType(), items.Count);
                for (var place = 0; place < items.Count; place++) array.SetValue(items[place], place);
                return array;
            }
            var definition = type.GetGenericTypeDefinition();
            if (Array.IndexOf(Generic, definition) >= Sequences) return Activator.CreateInstance(type, items.ToArray());
            var made = Activator.CreateInstance(type);
            if (definition == typeof(Stack<>)) items.Reverse();
            var add = type.GetMethod(definition == typeof(Queue<>) ? "Enqueue" : definition == typeof(Stack<>) ? "Push" : definition == typeof(LinkedList<>) ? "AddLast" : "Add",
                definition == typeof(Dictionary<,>) || definition == typeof(SortedDictionary<,>) ? type.GetGenericArguments() : new[] { type.GetGenericArguments()[0] });
            foreach (var item in items)
            {
                if (item is ValueType && item.GetType().IsGenericType && definition.GetGenericArguments().Length == 2)
                    add.Invoke(made, new[] { item.GetType().GetProperty("Key").GetValue(item), item.GetType().GetProperty("Value").GetValue(item) });
                else add.Invoke(made, new[] { item });
            }
            return made;
        }

        // A function of the other side, until it is known what delegate is asked for
        public sealed class Callback
        {
            public int Number;
            public Wire Wire;

            public object Run(object[] arguments) { return Wire.Invoke(Number, arguments); }

            public Delegate As(Type type)
            {
                var method = type.GetMethod("Invoke");
                var parameters = method.GetParameters().Select(one => Expression.Parameter(one.ParameterType)).ToArray();
                var values = Expression.NewArrayInit(typeof(object), parameters.Select(one => Expression.Convert(one, typeof(object))));
                Expression body = Expression.Call(Expression.Constant(this), typeof(Callback).GetMethod("Run"), values);
                if (method.ReturnType != typeof(void)) body = Expression.Convert(body, method.ReturnType);
                return Expression.Lambda(type, body, parameters).Compile();
            }
        }

        public static object Adapted(object value, Type type)
        {
            return value is Callback && typeof(Delegate).IsAssignableFrom(type) ? ((Callback)value).As(type) : value;
        }

        public static Exception Bare(Exception thrown)
        {
            while (thrown is TargetInvocationException && thrown.InnerException != null) thrown = thrown.InnerException;
            return thrown;
        }
    }
}
