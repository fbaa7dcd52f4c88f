// The side of the answer: runs its functions for the tests.
namespace ReflectionTrl
{
    using System;
    using System.Collections.Generic;
    using System.Linq;
    using System.Reflection;
    using System.Runtime.CompilerServices;
    using System.Runtime.ExceptionServices;

    public class Serve : Wire
    {
        const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.FlattenHierarchy;

        sealed class Same : IEqualityComparer<object>
        {
            bool IEqualityComparer<object>.Equals(object one, object other) { return ReferenceEquals(one, other); }
            int IEqualityComparer<object>.GetHashCode(object one) { return RuntimeHelpers.GetHashCode(one); }
        }

        readonly List<object> objects = new List<object>();
        readonly Dictionary<object, int> numbers = new Dictionary<object, int>(new Same());
        Exception failure;

        public static void Main()
        {
            var serve = new Serve();
            try { while (serve.Respond(serve.Receive())) { } }
            catch (Gone) { Environment.Exit(0); }
            ExceptionDispatchInfo.Capture(serve.failure).Throw();
        }

        // Does what the tests ask for; whether they go on
        bool Respond(object[] message)
        {
            if ((string)message[0] == "raise") return false;
            try
            {
                if ((string)message[0] == "invoke")
                {
                    Send("result", InvokeLent((int)message[1], (object[])message[2]), new object[0]);
                    return true;
                }
                var values = (object[])message[4];
                var result = Perform((Type)message[1], (string)message[2], message[3], values, (object[])message[5]);
                Console.Out.Flush();
                Send("result", result, values.Select(one => one is Callback || one is Delegate ? null : one).ToArray());
            }
            catch (Gone) { throw; }
            catch (Exception thrown)
            {
                failure = Bare(thrown);
                if (failure is Gone) throw failure;
                var type = failure.GetType();
                while (type.Assembly == typeof(Serve).Assembly && !Names.Own.Contains(type.Name)) type = type.BaseType;
                Send("error", type.Assembly == typeof(Serve).Assembly ? type.Name : type.FullName, failure.Message);
            }
            return true;
        }

        protected override object Invoke(int number, object[] arguments)
        {
            Send("invoke", number, arguments);
            while (true)
            {
                var reply = Receive();
                if ((string)reply[0] == "result") return reply[1];
                if ((string)reply[0] == "error") throw new Exception((string)reply[2]);
                if (!Respond(reply)) ExceptionDispatchInfo.Capture(failure).Throw();
            }
        }

        object Perform(Type type, string name, object self, object[] values, object[] types)
        {
            if (name == "ToString") return self.ToString();
            if (name == "GetHashCode") return self.GetHashCode();
            if (name == "Equals" && values[0] == self) return true;
            if (name == "enumerate")
            {
                var items = self.GetType().GetInterfaces().First(one => one.IsGenericType && one.GetGenericTypeDefinition() == typeof(IEnumerable<>));
                return Activator.CreateInstance(typeof(List<>).MakeGenericType(items.GetGenericArguments()), self);
            }
            var flags = All | (self == null ? BindingFlags.Static : BindingFlags.Instance);
            if (name.StartsWith("field "))
            {
                var field = type.GetField(name.Substring(6), flags);
                if (values.Length == 0) return field.GetValue(self);
                field.SetValue(self, values[0]);
                return null;
            }
            IEnumerable<MethodBase> all = name == "new" ? type.GetConstructors(All | BindingFlags.Instance).Cast<MethodBase>()
                : Bases(type).SelectMany(one => one.GetMethods(flags)).Where(one => one.Name == name);
            if (types.Length > 0)
                all = all.OfType<MethodInfo>().Where(one => one.IsGenericMethodDefinition && one.GetGenericArguments().Length == types.Length)
                    .Select(one => one.MakeGenericMethod(types.Cast<Type>().ToArray()));
            var found = all.FirstOrDefault(one => Takes(one, values));
            if (found == null && name == "new" && values.Length == 0 && type.IsValueType) return Activator.CreateInstance(type);
            if (found == null) throw new MissingMethodException(type.Name, name);
            var parameters = found.GetParameters();
            for (var place = 0; place < values.Length; place++) values[place] = Adapted(values[place], parameters[place].ParameterType);
            return name == "new" ? ((ConstructorInfo)found).Invoke(values) : found.Invoke(self, values);
        }

        static IEnumerable<Type> Bases(Type type)
        {
            for (var one = type; one != null; one = one.BaseType) yield return one;
            foreach (var one in type.GetInterfaces()) yield return one;
        }

        static bool Takes(MethodBase method, object[] values)
        {
            var parameters = method.GetParameters();
            return !method.ContainsGenericParameters && parameters.Length == values.Length && parameters.Zip(values, (parameter, value) =>
            {
                var type = parameter.ParameterType.IsByRef ? parameter.ParameterType.GetElementType() : parameter.ParameterType;
                if (value is Callback) return typeof(Delegate).IsAssignableFrom(type);
                return value == null ? !type.IsValueType || Nullable.GetUnderlyingType(type) != null : type.IsInstanceOfType(value);
            }).All(fits => fits);
        }

        protected override bool IsOwn(Type type)
        {
            return type.Assembly == typeof(Serve).Assembly && Names.Own.Contains(type.Name);
        }

        protected override string NameOf(Type type) { return type.Name; }

        protected override Type Named(string name)
        {
            return typeof(Serve).Assembly.GetTypes().FirstOrDefault(type => type.Name == name && type.Namespace != "ReflectionTrl");
        }

        protected override int NumberOf(object value)
        {
            int number;
            if (!value.GetType().IsValueType && numbers.TryGetValue(value, out number)) return number;
            objects.Add(value);
            return numbers[value] = objects.Count - 1;
        }

        protected override object ObjectOf(int number, Type type)
        {
            if (number < 0 || number >= objects.Count) throw new Gone();
            return objects[number];
        }
    }
}
